//! What was sent to whom: how it is asked for on the native face and on the page, and how it reads in JSON and CSV.
//!
//! `console usage` prints the same lines. Reading is bounded: a page of lines, totals of so many deliveries. Changes
//! nothing.

mod asked;
pub mod csv;
mod view;

pub(super) use self::asked::{Asked, Form};
pub use self::view::{LineView, TotalView, TotalsView, UsageView, lines};
