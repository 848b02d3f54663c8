//! Providers that lie: they take a message and go silent, time out, throttle, refuse, and take what they refuse to
//! confirm. The ledger knows to whom a message was really brought.
//!
//! A worker that dies while its call is under way dies at one of the gates here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use postrider::domain::attempt::{Answer, Outcome};
use postrider::domain::inbound::Incoming;
use postrider::provider::{Call, Parcel, Provider, Refusal};

use super::world::World;

/// One host's line to a provider.
pub struct Carrier {
    pub name: &'static str,
    pub world: Arc<World>,
}

/// What a provider does with a call, and what it says of it.
struct Deed {
    takes: bool,
    says: Outcome,
}

impl Carrier {
    fn deed(&self, parcel: &Parcel) -> Deed {
        let reason = "a storm".to_owned();
        let reference = format!("{}/{}/{}", self.name, parcel.delivery.0, parcel.round);
        let retry_after = self.world.chance(0.5).then(|| Duration::from_secs(40));
        let refuses = |says| Deed { takes: false, says };
        let takes = |says| Deed { takes: true, says };
        let luck = if self.world.ledger().calm {
            self.world.luck() * 0.7
        } else {
            self.world.luck()
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
impl Provider for Carrier {
    async fn send(&self, parcel: &Parcel) -> Answer {
        self.world.stage.gate().await;
        let deed = self.deed(parcel);
        self.world.note(|| {
            let (id, round, said) = (parcel.delivery.0, parcel.round, deed.says.word());
            let took = if deed.takes { "took" } else { "did not take" };
            format!("{} {took} {id} in round {round} and says {said}", self.name)
        });
        if deed.takes {
            self.world
                .ledger()
                .taken(parcel.delivery, parcel.round, self.name);
        }
        self.world.stage.gate().await;
        Answer::from(deed.says)
    }

    fn receipts(&self, _call: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn place(&self) -> (String, u16) {
        (self.name.to_owned(), 0)
    }
}
