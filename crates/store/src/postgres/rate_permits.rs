//! Rate permits: takes tokens from the rate limiter that all processes share, one row per provider.
//!
//! The first row of a rate limiter is inserted under an advisory lock. The caller begins and ends the transaction.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::pool::{PgTransaction, bind};
use super::{errors::PgError, group_commit::BatchOperation};
use crate::{RatePermit, rows::coordination::decode_rate_limiter};
use postrider_core::rate_limit::{self, RateLimitRequest, RateLimiterState};
use postrider_core::{clock::Timestamp, name::ConfigName};

static RATE_LIMITER: &str = sql!("postgres/coordination/read_rate_limiter");
static SAVE_RATE_LIMITER: &str = sql!("common/coordination/save_rate_limiter");

/// A request for rate permits. Requests for one provider are served together, in their order.
pub struct RateOperation {
    pub request: RateLimitRequest,
    pub now: Timestamp,
    /// Time of the call. Permits count from the transaction, which may begin later than the call.
    pub requested_at: Instant,
}

impl RateOperation {
    fn provider(&self) -> &ConfigName {
        &self.request.provider
    }

    /// Returns the caller's time, advanced by how long the request has waited, in whole seconds.
    fn effective_now(&self) -> Timestamp {
        self.now + Duration::from_secs(self.requested_at.elapsed().as_secs())
    }
}

impl BatchOperation for RateOperation {
    type Output = Vec<RatePermit>;
    /// Providers whose row exists already. Rows are never deleted.
    type BatchCache = HashSet<ConfigName>;
    const ERROR_CONTEXT: &'static str = "cannot acquire rate permits";

    async fn run(
        transaction: &PgTransaction,
        stored_providers: &mut HashSet<ConfigName>,
        operations: &[Self],
    ) -> Result<Vec<Self::Output>, PgError> {
        if operations.iter().any(|operation| !stored_providers.contains(operation.provider())) {
            // The lock is taken before any row is locked. So a transaction that waits for this lock holds no row that
            // the lock's holder may need.
            lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
        }
        let mut permits = vec![Vec::new(); operations.len()];
        // Sorted by provider, so that two processes do not deadlock.
        let mut indexes = (0..operations.len()).collect::<Vec<_>>();
        indexes.sort_by_key(|operation_index| operations[*operation_index].provider().as_str());
        for same_provider in indexes.chunk_by(|a, b| operations[*a].provider() == operations[*b].provider()) {
            let first_operation = &operations[same_provider[0]];
            let mut limiter_state =
                load_rate_limiter(transaction, first_operation.provider().as_str()).await?;
            for operation_index in same_provider {
                let operation = &operations[*operation_index];
                let now = operation.effective_now();
                let (next_state, acquired) =
                    rate_limit::acquire_permits(limiter_state, &operation.request, now);
                limiter_state = Some(next_state);
                permits[*operation_index] = acquired;
            }
            if let Some(limiter_state) = limiter_state {
                save_rate_limiter(transaction, first_operation, limiter_state).await?;
            }
            stored_providers.insert(first_operation.provider().clone());
        }
        Ok(permits)
    }
}

/// Returns a rate limiter, locked until the transaction ends.
async fn load_rate_limiter(
    transaction: &PgTransaction,
    provider: &str,
) -> Result<Option<RateLimiterState>, PgError> {
    let limiter_state =
        transaction.query_optional(RATE_LIMITER, bind![provider], decode_rate_limiter).await?;
    if limiter_state.is_some() {
        return Ok(limiter_state);
    }
    lock_exclusive(transaction, AdvisoryLock::Coordination).await?;
    transaction.query_optional(RATE_LIMITER, bind![provider], decode_rate_limiter).await
}

async fn save_rate_limiter(
    transaction: &PgTransaction,
    operation: &RateOperation,
    limiter_state: RateLimiterState,
) -> Result<(), PgError> {
    let values = bind![
        operation.provider().as_str(),
        limiter_state.tokens_micros,
        limiter_state.counted_at.unwrap_or(operation.now).timestamp_millis(),
        limiter_state.next_slot.map(|slot| slot.timestamp_micros()),
        limiter_state.cooldown_until.map(|until| until.timestamp_millis()),
    ];
    transaction.execute(SAVE_RATE_LIMITER, values).await
}
