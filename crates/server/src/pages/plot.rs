//! Messages per hour as stacked bars in SVG, drawn at two widths.
//!
//! The template `hourly_plot.svg` writes the SVG element. Colours are class names, so that the stylesheet sets them for
//! light and dark mode and no inline style is needed. Positions are SVG user units from the top left corner. The library
//! plotters was replaced, because its SVG backend writes no class names, titles or descriptions.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use askama::Template;
use chrono::{DurationRound, TimeDelta, Timelike};

use super::format;
use postrider_core::clock::Timestamp;
use postrider_core::report::{HourReportRow, percent};

/// Number of hours in the plot.
const PLOT_HOURS: u32 = 48;

/// Width between the left edge and the bars, which holds the labels of the count axis.
const PLOT_LEFT: u32 = 68;

/// Width between the bars and the right edge, which holds half of an hour label.
const RIGHT_MARGIN: u32 = 18;

/// Height between the top edge and the bars, which holds the title of the count axis.
const PLOT_TOP: u32 = 26;

/// Height between the bars and the bottom edge, which holds the labels of the hour axis.
const BOTTOM_MARGIN: u32 = 28;

/// Minimum height of a bar segment, so that one failure among thousands of deliveries is visible.
const SEGMENT_HEIGHT_MIN: f64 = 1.0;

/// Size of a plot and hours between two labels.
pub(super) struct PlotSize {
    /// Part of the element ids, which must be unique in the page.
    name: &'static str,
    hour_width: u32,
    bar_width: u32,
    bar_height_max: u32,
    hours_per_label: u32,
}

/// For screens wider than a phone.
pub(super) const WIDE: PlotSize =
    PlotSize { name: "wide", hour_width: 20, bar_width: 16, bar_height_max: 200, hours_per_label: 6 };

/// For a phone.
pub(super) const NARROW: PlotSize =
    PlotSize { name: "narrow", hour_width: 6, bar_width: 4, bar_height_max: 180, hours_per_label: 12 };

/// The last 48 hours with their counts of deliveries, in order of time, including hours without deliveries.
pub(super) struct HourlyCounts(Vec<HourReportRow>);

/// The plot as an SVG element.
#[derive(Template)]
#[template(path = "hourly_plot.svg", whitespace = "minimize")]
pub(super) struct HourlyPlot {
    name: &'static str,
    /// Text for screen readers.
    description: String,
    width: u32,
    height: u32,
    left: u32,
    right: u32,
    top: u32,
    bottom: u32,
    /// Vertical position and text of each label of the count axis.
    count_labels: Vec<(f64, String)>,
    hour_labels: Vec<HourLabel>,
    /// CSS class of each state and the path of its bar segments.
    bar_paths: [(&'static str, String); 3],
}

/// A label of the hour axis.
struct HourLabel {
    x: u32,
    /// The day at midnight UTC, else the time.
    text: String,
    is_midnight: bool,
}

impl HourlyCounts {
    /// Returns the 48 hours that end with the hour of `as_of`.
    pub(super) fn until(as_of: Timestamp, counted_hours: &[HourReportRow]) -> Self {
        let last_hour = as_of.duration_trunc(TimeDelta::hours(1)).unwrap_or(as_of);
        let hours = (0..PLOT_HOURS).rev().map(|hours_ago| last_hour - TimeDelta::hours(hours_ago.into()));
        let rows = hours.map(|hour| {
            let counted = counted_hours.iter().find(|counted| counted.hour == hour);
            counted.cloned().unwrap_or(HourReportRow { hour, ..HourReportRow::default() })
        });
        Self(rows.collect())
    }

    /// Returns the number of deliveries accepted in these hours.
    pub(super) fn accepted(&self) -> u64 {
        self.0.iter().map(|row| row.accepted).sum()
    }

    /// Returns the hour with most deliveries; `None` if there are no deliveries.
    pub(super) fn busiest(&self) -> Option<&HourReportRow> {
        self.0.iter().filter(|row| row.accepted > 0).max_by_key(|row| row.accepted)
    }

    /// Returns the plot of these hours. `description` is the text for screen readers.
    pub(super) fn plot(&self, plot_size: &PlotSize, description: &str) -> HourlyPlot {
        let highest_count = self.0.iter().map(|row| row.accepted.max(row.sent + row.failed)).max();
        let counts_on_axis = axis_counts(highest_count.unwrap_or(0));
        let axis_end = counts_on_axis.last().copied().unwrap_or(1);
        let bottom = PLOT_TOP + plot_size.bar_height_max;
        let count_y = |count| {
            let percent_of_axis = percent(count, axis_end).unwrap_or(0.0);
            f64::from(bottom) - (percent_of_axis * f64::from(plot_size.bar_height_max) / 100.0).round()
        };
        let right = PLOT_LEFT + PLOT_HOURS * plot_size.hour_width;
        HourlyPlot {
            name: plot_size.name,
            description: description.to_owned(),
            width: right + RIGHT_MARGIN,
            height: bottom + BOTTOM_MARGIN,
            left: PLOT_LEFT,
            right,
            top: PLOT_TOP,
            bottom,
            count_labels: counts_on_axis
                .into_iter()
                .map(|count| (count_y(count), format::count(count)))
                .collect(),
            hour_labels: self.hour_labels(plot_size),
            bar_paths: self.bar_paths(plot_size, count_y),
        }
    }

    /// Returns the rows with the left edge of their hour.
    fn columns(&self, size: &PlotSize) -> impl Iterator<Item = (u32, &HourReportRow)> {
        (0..PLOT_HOURS).map(|hour| PLOT_LEFT + hour * size.hour_width).zip(&self.0)
    }

    fn hour_labels(&self, plot_size: &PlotSize) -> Vec<HourLabel> {
        let columns = self.columns(plot_size);
        let labelled = columns.filter(|(_, row)| row.hour.hour().is_multiple_of(plot_size.hours_per_label));
        let labels = labelled.map(|(x, row)| {
            let is_midnight = row.hour.hour() == 0;
            let pattern = if is_midnight { "%b %-d" } else { "%H:%M" };
            HourLabel { x, text: row.hour.format(pattern).to_string(), is_midnight }
        });
        labels.collect()
    }

    /// Returns one path for each state. The segments of an hour stand on each other: sent, failed, waiting.
    fn bar_paths(&self, plot_size: &PlotSize, count_y: impl Fn(u64) -> f64) -> [(&'static str, String); 3] {
        let mut paths = ["sent", "failed", "waiting"].map(|class| (class, String::new()));
        let gap = (plot_size.hour_width - plot_size.bar_width) / 2;
        for (hour_left, row) in self.columns(plot_size) {
            let (left, width) = (hour_left + gap, plot_size.bar_width);
            let waiting = row.accepted.saturating_sub(row.sent + row.failed);
            let (mut stacked_count, mut base) = (0, count_y(0));
            for ((_, path), count) in paths.iter_mut().zip([row.sent, row.failed, waiting]) {
                if count == 0 {
                    continue;
                }
                stacked_count += count;
                let top = count_y(stacked_count).min(base - SEGMENT_HEIGHT_MIN);
                // Writing into a string cannot fail.
                let _ = write!(path, "M{left} {base}V{top}h{width}V{base}z");
                base = top;
            }
        }
        paths
    }
}

/// Returns round numbers from zero to at least `highest`: at most six, in steps of 1, 2 or 5 times a power of ten.
fn axis_counts(highest: u64) -> Vec<u64> {
    let powers_of_ten = (0..=19).map(|exponent| 10_u64.pow(exponent));
    let mut steps = powers_of_ten.flat_map(|power| [1, 2, 5].map(|digit| power.saturating_mul(digit)));
    let step = steps.find(|step| step.saturating_mul(5) >= highest).unwrap_or(u64::MAX);
    (0..=highest.div_ceil(step).max(1)).map(|steps| steps.saturating_mul(step)).collect()
}
