//! Messages per hour as stacked bars in SVG, drawn at two widths.
//!
//! Colours are class names, so that the stylesheet sets them for light and dark mode and no inline style is needed. The
//! layers are painted over each other from back to front, all starting at the zero line.

#[cfg(test)]
mod tests;

use chrono::{DurationRound, TimeDelta, Timelike};
use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::combinators::BindKeyPoints;
use plotters::drawing::IntoDrawingArea;
use plotters::element::Polygon;
use plotters::style::{Color, IntoFont, RGBColor, TRANSPARENT, TextStyle};

use super::format;
use postrider_core::clock::Timestamp;
use postrider_core::report::HourReportRow;

/// Number of hours in the plot.
const HOURS: usize = 48;

/// Width of an hour in plot units; a bar takes eight of ten.
const HOUR_UNITS: i32 = 10;

/// Placeholder colours: the backend writes colours only, and [`CLASSES`] replaces them.
const INK: RGBColor = RGBColor(1, 0, 0);
const GRID: RGBColor = RGBColor(2, 0, 0);
const SENT: RGBColor = RGBColor(3, 0, 0);
const WAITING: RGBColor = RGBColor(4, 0, 0);
const FAILED: RGBColor = RGBColor(5, 0, 0);

/// Font size: the backend divides it by 1.24, which gives the 12 units of the stylesheet.
const FONT_SIZE: f64 = 12.0 * 1.24;

/// Replacements in the output of the backend.
const CLASSES: [(&str, &str); 8] = [
    (" opacity=\"1\"", ""),
    (" font-family=\"sans-serif\" font-size=\"12\"", ""),
    ("fill=\"#010000\"", "class=\"ink\""),
    ("stroke=\"#010000\"", "class=\"axis\""),
    ("stroke=\"#020000\"", "class=\"grid\""),
    ("fill=\"#030000\"", "class=\"sent\""),
    ("fill=\"#040000\"", "class=\"waiting\""),
    ("fill=\"#050000\"", "class=\"failed\""),
];

/// Size of a plot and hours between two labels.
pub(super) struct PlotSize {
    width: u32,
    height: u32,
    label_every: u32,
}

/// Width of margins and labels. The rest of a plot's width is a multiple of 48, so that all gaps are equal.
const MARGINS_WIDTH: u32 = 8 + 52 + 16;

/// For screens wider than a phone.
pub(super) const WIDE: PlotSize = PlotSize { width: 960 + MARGINS_WIDTH, height: 240, label_every: 6 };

/// For a phone.
pub(super) const NARROW: PlotSize = PlotSize { width: 288 + MARGINS_WIDTH, height: 220, label_every: 12 };

/// The last 48 hours with their deliveries, including hours without any.
pub(super) struct HourlyPlot {
    first: Timestamp,
    rows: Vec<HourReportRow>,
}

impl HourlyPlot {
    /// Returns the 48 hours that end with the hour of `as_of`.
    pub(super) fn until(as_of: Timestamp, counted: &[HourReportRow]) -> Self {
        let hour = as_of.duration_trunc(TimeDelta::hours(1)).unwrap_or(as_of);
        let first = hour - TimeDelta::hours(47);
        let mut rows = vec![HourReportRow::default(); HOURS];
        for row in counted {
            let index = usize::try_from((row.hour - first).num_hours()).ok();
            if let Some(slot) = index.and_then(|index| rows.get_mut(index))
                && row.hour >= first
            {
                *slot = row.clone();
            }
        }
        Self { first, rows }
    }

    /// Returns the number of deliveries accepted in these hours.
    pub(super) fn accepted(&self) -> u64 {
        self.rows.iter().map(|row| row.accepted).sum()
    }

    /// Returns the hour with most deliveries; `None` if there are no deliveries.
    pub(super) fn busiest(&self) -> Option<&HourReportRow> {
        self.rows.iter().filter(|row| row.accepted > 0).max_by_key(|row| row.accepted)
    }

    /// Returns the plot as SVG; `None` if the library cannot draw it.
    pub(super) fn draw(&self, size: &PlotSize) -> Option<String> {
        let mut svg = String::new();
        self.draw_into(&mut svg, size)
            .inspect_err(|error| log::error!("cannot draw hourly plot: error={error}"))
            .ok()?;
        let classed = CLASSES.iter().fold(svg, |svg, (written, class)| svg.replace(written, class));
        Some(compact_paths(&classed))
    }

    fn draw_into(&self, svg: &mut String, size: &PlotSize) -> Result<(), Box<dyn std::error::Error + '_>> {
        let highest = self.rows.iter().map(|row| row.accepted.max(row.sent + row.failed)).max();

        let ticks = ticks(highest.unwrap_or(0));
        let top = ticks.last().copied().unwrap_or(1);
        let area = SVGBackend::with_string(svg, (size.width, size.height)).into_drawing_area();
        let hours = i32::try_from(HOURS).unwrap_or(i32::MAX) * HOUR_UNITS;
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .margin_right(16)
            .x_label_area_size(26)
            .y_label_area_size(52)
            .build_cartesian_2d(
                (0..hours).with_key_points(self.label_positions(size.label_every)),
                (0..top).with_key_points(ticks),
            )
            .map_err(|error| error.to_string())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(TextStyle::from(("sans-serif", FONT_SIZE).into_font()).color(&INK))
            .x_label_formatter(&|units| self.label_text(*units))
            .y_label_formatter(&|number| format::count(*number))
            .draw()
            .map_err(|error| error.to_string())?;
        for (color, height) in LAYERS {
            let bars = self.bars(height);
            if !bars.is_empty() {
                chart.draw_series([Polygon::new(bars, color.filled())]).map_err(|error| error.to_string())?;
            }
        }
        area.present().map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Height of the bar of an hour.
type BarHeight = fn(&HourReportRow) -> u64;

/// The layers from back to front. A layer has no bar where the layer in front of it would hide it.
const LAYERS: [(RGBColor, BarHeight); 3] = [
    (WAITING, |row| if row.sent + row.failed < row.accepted { row.accepted } else { 0 }),
    (FAILED, |row| if row.failed > 0 { row.sent + row.failed } else { 0 }),
    (SENT, |row| row.sent),
];

impl HourlyPlot {
    /// Returns the outline of all bars of a layer, which follows the zero line from bar to bar.
    fn bars(&self, height: BarHeight) -> Vec<(i32, u64)> {
        let mut outline = Vec::new();
        let mut left = 0;
        for row in &self.rows {
            let top = height(row);
            if top > 0 {
                outline.extend([(left + 1, 0), (left + 1, top), (left + 9, top), (left + 9, 0)]);
            }
            left += HOUR_UNITS;
        }
        outline
    }

    /// Returns the positions of the labels: the hours that `every` divides.
    fn label_positions(&self, every: u32) -> Vec<i32> {
        let hours = i32::try_from(HOURS).unwrap_or(i32::MAX);
        (0..hours)
            .filter(|hour| self.hour_at(*hour).hour().is_multiple_of(every))
            .map(|hour| hour * HOUR_UNITS)
            .collect()
    }

    /// Returns the label of an hour: the day at midnight, else the time.
    fn label_text(&self, units: i32) -> String {
        let at = self.hour_at(units / HOUR_UNITS);
        let pattern = if at.hour() == 0 { "%b %-d" } else { "%H:%M" };
        at.format(pattern).to_string()
    }

    fn hour_at(&self, index: i32) -> Timestamp {
        self.first + TimeDelta::hours(i64::from(index))
    }
}

/// Rewrites polygons as paths: bars have only horizontal and vertical lines, so half of the numbers can be omitted.
fn compact_paths(svg: &str) -> String {
    let mut parts = svg.split("<polygon ");
    let mut compact = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((class, (points, rest))) =
            part.split_once("points=\"").and_then(|(class, rest)| Some((class, rest.split_once('"')?)))
        else {
            continue;
        };
        compact.push_str("<path ");
        compact.push_str(class);
        compact.push_str("d=\"");
        compact.push_str(&svg_path(points));
        compact.push('"');
        compact.push_str(rest);
    }
    compact
}

fn svg_path(points: &str) -> String {
    let mut path = String::new();
    let mut last = None;
    for (x, y) in points.split_ascii_whitespace().filter_map(|point| point.split_once(',')) {
        let step = match last {
            None => format!("M{x} {y}"),
            Some((_, last_y)) if last_y == y => format!("H{x}"),
            Some((last_x, _)) if last_x == x => format!("V{y}"),
            Some(_) => format!("L{x} {y}"),
        };
        path.push_str(&step);
        last = Some((x, y));
    }
    path
}

/// Returns round numbers from zero to at least `highest`: at most six, in steps of 1, 2 or 5 times a power of ten.
fn ticks(highest: u64) -> Vec<u64> {
    let mut step: u64 = 1;
    let mut growth = [2, 5, 10].into_iter().cycle();
    let mut decade: u64 = 1;
    while step.saturating_mul(5) < highest {
        let factor = growth.next().unwrap_or(10);
        step = decade.saturating_mul(factor);
        if factor == 10 {
            decade = step;
        }
    }
    (0..=highest.div_ceil(step).max(1)).map(|number| number.saturating_mul(step)).collect()
}
