//! The connection pool, and transactions on its connections.
//!
//! No statement, setting or lock outlives its transaction, so that a transaction pooler may be in between. A
//! transaction that is dropped before its end closes its connection.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Object, Pool};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::connection_config::{self, ServerRole};
use super::connector::PgConnector;
use super::errors::PgError;
use postrider_core::error::{Error, ErrorKind, Result};

static BEGIN_WRITE: &str = sql!("postgres/maintenance/begin_write");
static BEGIN_READ: &str = sql!("postgres/maintenance/begin_read");

/// Maximum time to begin a transaction before the server counts as down.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(4);

/// Maximum time to wait for a free connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(10);

/// Parameters with their types: `bind![id, name]`.
macro_rules! bind {
    ($($value:expr),* $(,)?) => {
        &[$($crate::postgres::pool::SqlValue::bind(&$value)),*]
    };
}

pub(super) use bind;

/// Returns an array parameter: one value of each item.
pub fn column<'i, I, V>(items: &'i [I], value: impl FnMut(&'i I) -> V) -> Vec<V> {
    items.iter().map(value).collect()
}

/// A parameter whose type is known without asking the server.
pub trait SqlValue: ToSql + Sync + Sized {
    /// Its type on the server.
    const TYPE: Type;

    /// Returns the value with its type.
    fn bind(&self) -> TypedValue<'_> {
        (self, Self::TYPE)
    }
}

/// A parameter with its type.
pub type TypedValue<'a> = (&'a (dyn ToSql + Sync), Type);

macro_rules! types {
    ($($value:ty => $name:ident;)*) => {
        $(impl SqlValue for $value {
            const TYPE: Type = Type::$name;
        })*
    };
}

type SqlText<'a> = std::borrow::Cow<'a, str>;

types! {
    i64 => INT8;
    Option<i64> => INT8;
    &str => TEXT;
    Option<&str> => TEXT;
    SqlText<'_> => TEXT;
    Option<SqlText<'_>> => TEXT;
    Vec<u8> => BYTEA;
    Vec<i64> => INT8_ARRAY;
    Vec<Option<i64>> => INT8_ARRAY;
    Vec<&str> => TEXT_ARRAY;
    Vec<String> => TEXT_ARRAY;
    Vec<SqlText<'_>> => TEXT_ARRAY;
    Vec<Option<&str>> => TEXT_ARRAY;
    Vec<Option<String>> => TEXT_ARRAY;
    Vec<Option<SqlText<'_>>> => TEXT_ARRAY;
    Vec<Vec<u8>> => BYTEA_ARRAY;
}

/// A pool of connections to one database.
#[derive(Clone)]
pub struct PgPool {
    pool: Pool<PgConnector>,
}

impl PgPool {
    /// Creates a pool for a URL. Connections are opened when they are needed, at most `connections` of them.
    pub fn new(url: &str, purpose: ServerRole, connections: usize) -> Result<Self> {
        let connector = PgConnector::new(connection_config::parse(url, purpose)?);
        let pool = Pool::builder(connector)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_TIMEOUT))
            .build()
            .map_err(|error| {
                Error::with_source(ErrorKind::Internal, "cannot create the connection pool", error)
            })?;
        Ok(Self { pool })
    }

    /// Returns whether the URL has several hosts, so that the primary may change.
    pub fn has_several_hosts(&self) -> bool {
        self.pool.manager().host_count() > 1
    }

    /// Begins a transaction that writes and whose commit waits for the disk.
    pub async fn begin_write(&self) -> Result<PgTransaction, PgError> {
        let (transaction, _) = self.begin_transaction(None, BEGIN_WRITE).await?;
        Ok(transaction)
    }

    /// Begins a read-only transaction on one snapshot.
    pub async fn begin_read(&self) -> Result<PgTransaction, PgError> {
        let (transaction, _) = self.begin_transaction(None, BEGIN_READ).await?;
        Ok(transaction)
    }

    /// Runs a query, then begins a read-only transaction on a later snapshot of the same server.
    pub async fn query_then_begin_read(&self, sql: &str) -> Result<(Row, PgTransaction), PgError> {
        let (transaction, row) = self.begin_transaction(Some(sql), BEGIN_READ).await?;
        let row = row.ok_or_else(|| PgError::InvalidRow("a row is missing".to_owned()))?;
        Ok((row, transaction))
    }

    /// Begins a transaction. Pooled connections may be broken (after a restart of the server) or lead to a server that
    /// is no longer the primary; they are dropped until a new connection succeeds or fails. If a server does not
    /// answer, all idle connections are dropped, so that they are not tried one by one.
    async fn begin_transaction(
        &self,
        query: Option<&str>,
        begin_statement: &str,
    ) -> Result<(PgTransaction, Option<Row>), PgError> {
        loop {
            let connection = self.pool.get().await?;
            let is_new = Object::metrics(&connection).recycle_count == 0;
            let transaction = PgTransaction { connection: Some(connection) };
            match timeout(BEGIN_TIMEOUT, transaction.begin(query, begin_statement)).await {
                Ok(Ok(row)) => return Ok((transaction, row)),
                Ok(Err(error)) if !is_new && error.is_connection_error() => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => self.drop_idle_connections(),
            }
            if is_new {
                return Err(PgError::Timeout);
            }
        }
    }

    /// Drops all idle connections.
    pub fn drop_idle_connections(&self) {
        drop(self.pool.retain(|_, _| false));
    }
}

/// A transaction. Without a commit it has no effect.
pub struct PgTransaction {
    connection: Option<Object<PgConnector>>,
}

impl PgTransaction {
    fn connection(&self) -> Result<&Object<PgConnector>, PgError> {
        self.connection.as_ref().ok_or_else(|| PgError::InvalidRow("the transaction has ended".to_owned()))
    }

    async fn begin(&self, query: Option<&str>, begin_statement: &str) -> Result<Option<Row>, PgError> {
        let row = match query {
            None => None,
            Some(sql) => self.query_optional(sql, &[]).await?,
        };
        self.connection()?.batch_execute(begin_statement).await?;
        Ok(row)
    }

    /// Returns the rows of a statement.
    pub async fn query(&self, sql: &str, values: &[TypedValue<'_>]) -> Result<Vec<Row>, PgError> {
        Ok(self.connection()?.query_typed(sql, values).await?)
    }

    /// Returns the first row of a statement, if any.
    pub async fn query_optional(&self, sql: &str, values: &[TypedValue<'_>]) -> Result<Option<Row>, PgError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Returns the only row of a statement.
    pub async fn query_one(&self, sql: &str, values: &[TypedValue<'_>]) -> Result<Row, PgError> {
        let row = self.query_optional(sql, values).await?;
        row.ok_or_else(|| PgError::InvalidRow("a row is missing".to_owned()))
    }

    /// Runs a statement and returns the number of changed rows.
    pub async fn execute(&self, sql: &str, values: &[TypedValue<'_>]) -> Result<u64, PgError> {
        Ok(self.connection()?.execute_typed(sql, values).await?)
    }

    /// Runs several statements without parameters.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), PgError> {
        Ok(self.connection()?.batch_execute(sql).await?)
    }

    /// Commits if the outcome is `Ok`, rolls back otherwise, and returns the connection to the pool.
    pub async fn finish<T>(mut self, outcome: Result<T, PgError>) -> Result<T, PgError> {
        let begin_statement = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.connection()?.batch_execute(begin_statement).await;
        match (outcome, ended) {
            (outcome, Ok(())) => {
                drop(self.connection.take());
                outcome
            }
            (Ok(_), Err(error)) => Err(error.into()),
            (Err(error), Err(_)) => Err(error),
        }
    }
}

impl Drop for PgTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}
