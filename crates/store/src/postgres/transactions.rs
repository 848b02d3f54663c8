//! Macros that run a method of the store in a transaction.

/// Runs `$work` in a transaction of its own, and again if it conflicts with another transaction.
///
/// `$begin` is `begin_read` or `begin_write`; `$context` begins the error message. A transaction that takes longer than
/// `OPERATION_TIMEOUT` fails, unless it is marked `unlimited`.
macro_rules! run_transaction {
    ($self:ident.$begin:ident, $context:expr, |$transaction:ident| $work:expr) => {{
        let outcome = tokio::time::timeout($crate::postgres::store::OPERATION_TIMEOUT, async {
            run_transaction!(unlimited $self.$begin, |$transaction| $work)
        });
        let outcome = outcome.await.unwrap_or(Err($crate::postgres::errors::PgError::Timeout));
        outcome.map_err(|error| error.to_error($context))
    }};
    (unlimited $self:ident.$begin:ident, $context:expr, |$transaction:ident| $work:expr) => {{
        let outcome = run_transaction!(unlimited $self.$begin, |$transaction| $work);
        outcome.map_err(|error| error.to_error($context))
    }};
    (unlimited $self:ident.$begin:ident, |$transaction:ident| $work:expr) => {{
        let mut retries = 0;
        loop {
            let outcome = match $self.pool.$begin().await {
                Ok($transaction) => {
                    let outcome = $work.await;
                    $transaction.finish(outcome).await
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

/// Returns from the method with the result of `$work` on the replica, if there is a replica that is fresh enough.
macro_rules! read_from_replica {
    ($self:ident, $freshness:expr, |$transaction:ident| $work:expr) => {
        if let Some(replica) = &$self.replica {
            let reply = async {
                let $transaction = replica.read(&$self.pool, $freshness).await?;
                let outcome = $work.await;
                replica.finish($transaction, outcome).await
            };
            match tokio::time::timeout($crate::postgres::replica::READ_TIMEOUT, reply).await {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(_) => replica.disable($crate::postgres::errors::PgError::Timeout),
            }
        }
    };
}
