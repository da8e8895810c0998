"""Every figure of the report by name; each writes one PNG and imports matplotlib when it draws."""

from seglock.report.charts import draw_access_control, draw_curves
from seglock.report.gallery import draw_predictions, draw_transforms
from seglock.report.lockfigure import draw_lock_figure

__all__ = [
    "draw_access_control",
    "draw_curves",
    "draw_lock_figure",
    "draw_predictions",
    "draw_transforms",
]
