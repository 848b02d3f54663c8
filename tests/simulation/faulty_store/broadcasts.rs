//! Users and broadcasts through the faulty connection.

use async_trait::async_trait;
use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastCounts, BroadcastId, FanOutStep, NewBroadcast, NewUser, User,
    UserInboxPage, UserRegistration,
};
use postrider_core::error::Result;
use postrider_core::message::{Acceptance, NewMessage};
use postrider_store::BroadcastStore;

use super::FaultyStore;

#[async_trait]
impl BroadcastStore for FaultyStore {
    async fn register_users(&self, users: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
        self.call("register_users", self.store.register_users(users)).await
    }

    async fn users_with_id(&self, id: &str) -> Result<Vec<User>> {
        self.call("users_with_id", self.store.users_with_id(id)).await
    }

    async fn has_users(&self) -> Result<bool> {
        self.call("has_users", self.store.has_users()).await
    }

    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance> {
        self.call("create_broadcast", self.store.create_broadcast(broadcast)).await
    }

    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>> {
        self.call("next_unfinished_broadcast", self.store.next_unfinished_broadcast(after)).await
    }

    async fn next_broadcast_users(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>> {
        self.call("next_broadcast_users", self.store.next_broadcast_users(broadcast, limit)).await
    }

    async fn fan_out(&self, step: FanOutStep, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        self.call("fan_out", self.store.fan_out(step, messages)).await
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>> {
        self.call("broadcast", self.store.broadcast(id)).await
    }

    async fn broadcasts(
        &self,
        owner: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Broadcast>> {
        self.call("broadcasts", self.store.broadcasts(owner, before, limit)).await
    }

    async fn user_inbox(
        &self,
        user: &str,
        owner: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<UserInboxPage> {
        self.call("user_inbox", self.store.user_inbox(user, owner, before, limit)).await
    }
}
