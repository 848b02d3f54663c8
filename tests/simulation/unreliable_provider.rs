//! Providers whose responses are unreliable: they send a message and report a failure or an unknown outcome, throttle,
//! defer and reject. The reference model records each real send.
//!
//! A worker that crashes during a call crashes at one of the yield points here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_providers::{OutboundMessage, Provider};

use super::context::SimulationContext;

/// The connection of one host to a provider.
pub struct UnreliableProvider {
    pub name: &'static str,
    pub context: Arc<SimulationContext>,
}

/// The real and the reported result of a call.
struct ProviderCallResult {
    is_sent: bool,
    reported: Outcome,
}

impl UnreliableProvider {
    fn decide_result(&self, message: &OutboundMessage) -> ProviderCallResult {
        let reason = "simulated".to_owned();
        let reference = format!("{}/{}/{}", self.name, message.delivery_id.0, message.round);
        let retry_after = self.context.chance(0.5).then(|| Duration::from_secs(40));
        let not_sent = |outcome| ProviderCallResult { is_sent: false, reported: outcome };
        let sent = |outcome| ProviderCallResult { is_sent: true, reported: outcome };
        let draw = if self.context.model().is_fault_free {
            self.context.fraction() * 0.7
        } else {
            self.context.fraction()
        };
        match draw {
            draw if draw < 0.44 => sent(Outcome::Accepted { reference: Some(reference) }),
            draw if draw < 0.46 => sent(Outcome::Accepted { reference: None }),
            draw if draw < 0.54 => sent(Outcome::Unknown { reason }),
            draw if draw < 0.60 => not_sent(Outcome::Unknown { reason }),
            draw if draw < 0.74 => not_sent(Outcome::Unavailable { reason }),
            draw if draw < 0.84 => not_sent(Outcome::Deferred { reason, retry_after }),
            draw if draw < 0.95 => not_sent(Outcome::Throttled { retry_after }),
            draw if draw < 0.98 => not_sent(Outcome::Rejected { reason }),
            draw if draw < 0.998 => not_sent(Outcome::InvalidRecipient { reason }),
            _ => not_sent(Outcome::Misconfigured { reason }),
        }
    }
}

#[async_trait]
impl Provider for UnreliableProvider {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        self.context.scheduler.yield_point().await;
        let result = self.decide_result(message);
        self.context.log_step(|| {
            let (id, round, reported) = (message.delivery_id.0, message.round, result.reported.as_str());
            let sent = if result.is_sent { "sent" } else { "did not send" };
            format!("{} {sent} {id} in round {round} and reported {reported}", self.name)
        });
        if result.is_sent {
            self.context.model().add_send(message.delivery_id, message.round, self.name);
        }
        self.context.scheduler.yield_point().await;
        SendResult::from(result.reported)
    }

    fn endpoint(&self) -> (String, u16) {
        (self.name.to_owned(), 0)
    }
}
