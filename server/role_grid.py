"""RoleGrid: each phase of a round sees the nodes whose part it is.

Providers (clinics, devices) are shown to ``configure_train``, raters (clinics, users of a twin)
to ``configure_evaluate``; a clinic is both. Roles are the registry's, never what a message says.
"""

from server.checked_grid import CheckedGrid
from strategies.wrappers.narrowed_grid import GridView

PROVIDERS = frozenset({"clinic", "device"})
RATERS = frozenset({"clinic", "user"})


class RoleGrid(GridView):
    """A view of a grid that shows only the enrolled who play one of some roles.

    Parameters
    ----------
    grid : CheckedGrid
        The grid behind it; before enrolment, without a registry, it shows everybody.
    roles : frozenset of str
        ``PROVIDERS`` or ``RATERS``; whose privacy budget allows no further upload, or no further
        rating, is not shown.
    """

    def __init__(self, grid: CheckedGrid, roles: frozenset[str]) -> None:
        super().__init__(grid)
        self.registry = grid.registry
        self.roles = roles
        self.spent = grid.spent if roles == PROVIDERS else grid.silent

    def get_node_ids(self) -> list[int]:
        """Return the nodes of these roles, in identity order."""
        nodes = list(self.grid.get_node_ids())
        if self.registry is None:
            return nodes
        return [node for node in nodes if self._plays(node)]

    def _plays(self, node: int) -> bool:
        participant = self.registry.at(node) if self.registry else None
        return participant is not None and participant.role in self.roles and node not in self.spent
