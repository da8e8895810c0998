"""audit: what would give a key away, and where it could stand.

May read git, DVC's cache, MLflow's files and the records of a project's runs; writes nothing, and
shows no secret. Besides the key room only ``needles`` opens ``seglock.keys.secret_access``.
"""

from seglock.audit.exposed import exposures
from seglock.audit.report import AuditReport, Leak, Progress, search_project

__all__ = ["AuditReport", "Leak", "Progress", "exposures", "search_project"]
