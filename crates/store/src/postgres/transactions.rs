//! Macros that run the body of a store method in a transaction.
//!
//! They are macros and not functions because the compiler cannot prove that the future of an async closure, which borrows
//! the transaction, is `Send`.

/// Runs `$work` in a transaction of its own, and again if the transaction conflicts with another one.
///
/// `$begin` is `begin_read` or `begin_write`, and `$context` begins the error message. `$work` is asynchronous and
/// returns a `Result<_, PgError>`. The transaction fails if it takes longer than `OPERATION_TIMEOUT`.
macro_rules! run_transaction {
    ($self:ident.$begin:ident, $context:expr, |$transaction:ident| $work:expr) => {{
        let outcome = async { retry_transaction!($self.$begin, |$transaction| $work) };
        let outcome = tokio::time::timeout($crate::postgres::store::OPERATION_TIMEOUT, outcome).await;
        let outcome = outcome.unwrap_or(Err($crate::postgres::errors::PgError::Timeout));
        outcome.map_err(|error| error.to_error($context))
    }};
}

/// Does the same as `run_transaction!`, but without a timeout: for work on any number of rows.
macro_rules! run_long_transaction {
    ($self:ident.$begin:ident, $context:expr, |$transaction:ident| $work:expr) => {{
        let outcome = retry_transaction!($self.$begin, |$transaction| $work);
        outcome.map_err(|error| error.to_error($context))
    }};
}

macro_rules! retry_transaction {
    ($self:ident.$begin:ident, |$transaction:ident| $work:expr) => {{
        let mut retries = 0;
        loop {
            let outcome = match $self.pool.$begin().await {
                Ok(transaction) => {
                    let $transaction = &transaction;
                    let outcome = async { $work }.await;
                    transaction.finish(outcome).await
                }
                Err(error) => Err(error),
            };
            match outcome {
                Err(error)
                    if error.is_transaction_conflict()
                        && retries < $crate::postgres::group_commit::TRANSACTION_RETRIES_MAX =>
                {
                    retries += 1;
                }
                outcome => break outcome,
            }
        }
    }};
}

/// Runs `$work` on the replica if there is one that is fresh enough, and otherwise as `run_transaction!` on the primary.
macro_rules! run_on_replica_or_primary {
    ($self:ident, $freshness:expr, $context:expr, |$transaction:ident| $work:expr) => {{
        if let Some(replica) = &$self.replica {
            let reply = async {
                let transaction = replica.begin_read(&$self.pool, $freshness).await?;
                let $transaction = &transaction;
                let outcome = async { $work }.await;
                replica.finish(transaction, outcome).await
            };
            match tokio::time::timeout($crate::postgres::replica::READ_TIMEOUT, reply).await {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(_) => replica.disable($crate::postgres::errors::PgError::Timeout),
            }
        }
        run_transaction!($self.begin_read, $context, |$transaction| $work)
    }};
}
