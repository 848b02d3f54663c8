//! What was sent to whom: how it is asked for on the native face and on the page, and how it reads in JSON and CSV.
//!
//! `console usage` prints the same lines. Reading is bounded: a page of lines, totals of so many deliveries. Changes
//! nothing.

pub mod csv;
mod params;
mod rows;

pub(super) use self::params::{UsageFormat, UsageParams};
pub use self::rows::{UsageDeliveryRow, UsageTotalRow, UsageTotalsView, UsageView, usage_rows};
