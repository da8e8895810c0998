"""Every figure of the report by name; each writes one PNG and imports matplotlib when it draws."""

from seglock.report.attackcharts import draw_proximity, draw_shares
from seglock.report.charts import draw_access_control, draw_curves
from seglock.report.coursecharts import draw_courses
from seglock.report.gallery import draw_predictions, draw_transforms
from seglock.report.lockfigure import draw_lock_figure
from seglock.report.pareto import draw_pareto
from seglock.report.searchcharts import draw_hypervolume, draw_importances

__all__ = [
    "draw_access_control",
    "draw_courses",
    "draw_curves",
    "draw_hypervolume",
    "draw_importances",
    "draw_lock_figure",
    "draw_pareto",
    "draw_predictions",
    "draw_proximity",
    "draw_shares",
    "draw_transforms",
]
