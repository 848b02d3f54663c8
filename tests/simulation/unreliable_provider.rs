//! Providers that lie: they take a message and go silent, time out, throttle, refuse, and take what they refuse to
//! confirm. The ledger knows to whom a message was really brought.
//!
//! A worker that dies while its call is under way dies at one of the gates here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::inbound::CallbackItem;
use postrider_providers::{CallbackError, CallbackRequest, OutboundMessage, Provider};

use super::context::SimulationContext;

/// One host's line to a provider.
pub struct UnreliableProvider {
    pub name: &'static str,
    pub context: Arc<SimulationContext>,
}

/// What a provider does with a call, and what it says of it.
struct ProviderCallResult {
    is_sent: bool,
    reported: Outcome,
}

impl UnreliableProvider {
    fn decide_result(&self, parcel: &OutboundMessage) -> ProviderCallResult {
        let reason = "a storm".to_owned();
        let reference = format!("{}/{}/{}", self.name, parcel.delivery_id.0, parcel.round);
        let retry_after = self.context.chance(0.5).then(|| Duration::from_secs(40));
        let refuses = |says| ProviderCallResult {
            is_sent: false,
            reported: says,
        };
        let takes = |says| ProviderCallResult {
            is_sent: true,
            reported: says,
        };
        let luck = if self.context.model().is_fault_free {
            self.context.fraction() * 0.7
        } else {
            self.context.fraction()
        };
        match luck {
            luck if luck < 0.44 => takes(Outcome::Accepted {
                reference: Some(reference),
            }),
            luck if luck < 0.46 => takes(Outcome::Accepted { reference: None }),
            luck if luck < 0.54 => takes(Outcome::Unknown { reason }),
            luck if luck < 0.60 => refuses(Outcome::Unknown { reason }),
            luck if luck < 0.74 => refuses(Outcome::Unavailable { reason }),
            luck if luck < 0.84 => refuses(Outcome::Deferred { reason, retry_after }),
            luck if luck < 0.95 => refuses(Outcome::Throttled { retry_after }),
            luck if luck < 0.98 => refuses(Outcome::Rejected { reason }),
            luck if luck < 0.998 => refuses(Outcome::InvalidRecipient { reason }),
            _ => refuses(Outcome::Misconfigured { reason }),
        }
    }
}

#[async_trait]
impl Provider for UnreliableProvider {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        self.context.scheduler.yield_point().await;
        let deed = self.decide_result(parcel);
        self.context.log_step(|| {
            let (id, round, said) = (parcel.delivery_id.0, parcel.round, deed.reported.as_str());
            let took = if deed.is_sent { "took" } else { "did not take" };
            format!("{} {took} {id} in round {round} and says {said}", self.name)
        });
        if deed.is_sent {
            self.context
                .model()
                .add_send(parcel.delivery_id, parcel.round, self.name);
        }
        self.context.scheduler.yield_point().await;
        SendResult::from(deed.reported)
    }

    fn parse_callback_sync(&self, _call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    fn endpoint(&self) -> (String, u16) {
        (self.name.to_owned(), 0)
    }
}
