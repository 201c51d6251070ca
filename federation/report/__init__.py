"""One offline HTML page of a result.json: ``report.html``, read at a glance."""
