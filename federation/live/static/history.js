// What the server told so far. The same rounds as in result.json: nothing is computed here that
// is not a sum over what a round says of itself.

const MOST = 20000;

export class History {
  constructor() {
    this.head = null;
    this.rows = [];
    this.epsilon = {};
    this.board = null;
    this.status = { state: "connecting", message: "" };
    this.version = 0;
  }

  begin(head) {
    this.head = head;
    this.version += 1;
  }

  add(rows) {
    const last = this.rows.length ? this.rows[this.rows.length - 1].round : -1;
    for (const row of rows) if (row.round > last) this.rows.push(row);
    if (this.rows.length > MOST) {
      const half = this.rows.length >> 1;
      this.rows = this.rows.filter((_, place) => place === 0 || place >= half || place % 2 === 0);
    }
    this.version += 1;
  }

  set(name, value) {
    this[name] = value;
    this.version += 1;
  }

  get over() {
    return ["finished", "failed", "interrupted", "lost"].includes(this.status.state);
  }

  has(name) {
    return this.rows.some((row) => name in row);
  }

  names(field) {
    const found = new Set();
    for (const row of this.rows) for (const name of Object.keys(row[field] || {})) found.add(name);
    return [...found];
  }

  metric(name) {
    return this.rows.map((row) => row.metrics[name] ?? null);
  }
}
