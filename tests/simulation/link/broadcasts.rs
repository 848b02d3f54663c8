//! What a host asks of users and broadcasts: passed through, cut off like everything else.

use async_trait::async_trait;
use postrider::domain::broadcast::{
    Announced, Broadcast, BroadcastId, Inbox, NewBroadcast, NewUser, Reach, Registered, Tally, User,
};
use postrider::domain::message::{Acceptance, NewMessage};
use postrider::error::Result;
use postrider::store::Broadcasts;

use super::Link;

#[async_trait]
impl Broadcasts for Link {
    async fn register(&self, users: Vec<NewUser>) -> Result<Vec<Registered>> {
        self.through("register", self.store.register(users)).await
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        self.through("user", self.store.user(id)).await
    }

    async fn announce(&self, broadcast: NewBroadcast) -> Result<Announced> {
        self.through("announce", self.store.announce(broadcast)).await
    }

    async fn unspread(&self, after: i64) -> Result<Option<Broadcast>> {
        self.through("unspread", self.store.unspread(after)).await
    }

    async fn addressees(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>> {
        self.through("addressees", self.store.addressees(broadcast, limit))
            .await
    }

    async fn spread(&self, reach: Reach, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        self.through("spread", self.store.spread(reach, messages)).await
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, Tally)>> {
        self.through("broadcast", self.store.broadcast(id)).await
    }

    async fn broadcasts(&self, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>> {
        self.through("broadcasts", self.store.broadcasts(before, limit))
            .await
    }

    async fn inbox(&self, user: &str, before: Option<i64>, limit: usize) -> Result<Inbox> {
        self.through("inbox", self.store.inbox(user, before, limit)).await
    }
}
