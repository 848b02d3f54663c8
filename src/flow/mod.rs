//! What Postrider does, as functions over the wired program: accept, deliver, settle, resend, report, prune, tell.
//!
//! Faces and commands end here; here nothing knows about HTTP, rows or a provider's wire.

pub mod accept;
pub mod alert;
pub mod broadcast;
pub mod crowd;
pub mod deliver;
pub mod events;
pub mod find;
pub mod hear;
pub mod inbox;
pub mod overview;
mod places;
pub mod prune;
pub mod recipient;
pub mod resend;
pub mod settle;
pub mod spread;
pub mod sync_report;
mod throttle;
pub mod turn;
pub mod users;
pub mod work;
