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
use super::{connector::PgConnector, errors::PgError};
use postrider_core::error::{Error, ErrorKind, Result};

static BEGIN_WRITE: &str = sql!("postgres/maintenance/begin_write");
static BEGIN_READ: &str = sql!("postgres/maintenance/begin_read");

/// Maximum time to begin a transaction before the server counts as down.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(4);

/// Maximum time to wait for a free connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(10);

/// The parameters of a statement: `bind![id, name]`.
macro_rules! bind {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::postgres::pool::SqlValue),*]
    };
}

pub(super) use bind;

/// Returns an array parameter with one value for each item.
pub fn column<'i, I, V>(items: &'i [I], value_of: impl FnMut(&'i I) -> V) -> Vec<V> {
    items.iter().map(value_of).collect()
}

/// A parameter whose type is known without asking the server.
pub trait SqlValue: Sync {
    /// Returns the value with its type on the server.
    fn with_type(&self) -> TypedValue<'_>;
}

/// A parameter with its type, as `tokio-postgres` takes it.
pub type TypedValue<'a> = (&'a (dyn ToSql + Sync), Type);

macro_rules! sql_types {
    ($($rust_type:ty => $sql_type:ident;)*) => {
        $(impl SqlValue for $rust_type {
            fn with_type(&self) -> TypedValue<'_> {
                (self, Type::$sql_type)
            }
        })*
    };
}

type SqlText<'a> = std::borrow::Cow<'a, str>;

sql_types! {
    i64 => INT8;
    Option<i64> => INT8;
    &str => TEXT;
    Option<&str> => TEXT;
    SqlText<'_> => TEXT;
    Option<SqlText<'_>> => TEXT;
    Vec<u8> => BYTEA;
    Option<Vec<u8>> => BYTEA;
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
    /// Creates a pool for a URL. Opens at most `connections_max` connections, each when it is needed.
    pub fn new(url: &str, role: ServerRole, connections_max: usize) -> Result<Self> {
        let connector = PgConnector::new(connection_config::parse(url, role)?);
        let pool = Pool::builder(connector)
            .max_size(connections_max)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_TIMEOUT))
            .build();
        let pool = pool.map_err(|error| {
            Error::with_source(ErrorKind::Internal, "cannot create the connection pool", error)
        })?;
        Ok(Self { pool })
    }

    /// Returns the servers as `HOST:PORT`, separated by commas.
    pub fn server_list(&self) -> String {
        self.pool.manager().server_list()
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
        Ok((require_row(row)?, transaction))
    }

    /// Begins a transaction, after running `query` if it is given.
    ///
    /// A pooled connection may be broken (after a restart of the server) or lead to a server that is no longer the
    /// primary. Such connections are dropped until a new connection succeeds or fails. If a server does not answer, all
    /// idle connections are dropped, so that they are not tried one by one.
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

/// A transaction on a pooled connection. A transaction that is dropped without a commit has no effect.
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
            Some(sql) => self.query_first(sql, &[]).await?,
        };
        self.batch_execute(begin_statement).await?;
        Ok(row)
    }

    /// Returns the rows of a statement.
    pub async fn query(&self, sql: &str, values: &[&dyn SqlValue]) -> Result<Vec<Row>, PgError> {
        let parameters = values.iter().map(|value| value.with_type()).collect::<Vec<_>>();
        Ok(self.connection()?.query_typed(sql, &parameters).await?)
    }

    /// Returns the decoded rows of a statement.
    pub async fn query_all<T, C: FromIterator<T>>(
        &self,
        sql: &str,
        values: &[&dyn SqlValue],
        decode: impl FnMut(&Row) -> Result<T, PgError>,
    ) -> Result<C, PgError> {
        self.query(sql, values).await?.iter().map(decode).collect()
    }

    async fn query_first(&self, sql: &str, values: &[&dyn SqlValue]) -> Result<Option<Row>, PgError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Returns the decoded first row of a statement, if any.
    pub async fn query_optional<T>(
        &self,
        sql: &str,
        values: &[&dyn SqlValue],
        decode: impl FnOnce(&Row) -> Result<T, PgError>,
    ) -> Result<Option<T>, PgError> {
        self.query_first(sql, values).await?.as_ref().map(decode).transpose()
    }

    /// Returns the only row of a statement.
    pub async fn query_one(&self, sql: &str, values: &[&dyn SqlValue]) -> Result<Row, PgError> {
        require_row(self.query_first(sql, values).await?)
    }

    /// Runs a statement.
    pub async fn execute(&self, sql: &str, values: &[&dyn SqlValue]) -> Result<(), PgError> {
        self.execute_and_count(sql, values).await.map(drop)
    }

    /// Runs a statement and returns the number of changed rows.
    pub async fn execute_and_count(&self, sql: &str, values: &[&dyn SqlValue]) -> Result<u64, PgError> {
        let parameters = values.iter().map(|value| value.with_type()).collect::<Vec<_>>();
        Ok(self.connection()?.execute_typed(sql, &parameters).await?)
    }

    /// Runs several statements without parameters.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), PgError> {
        Ok(self.connection()?.batch_execute(sql).await?)
    }

    /// Commits if the outcome is `Ok`, rolls back otherwise, and returns the connection to the pool.
    pub async fn finish<T>(mut self, transaction_result: Result<T, PgError>) -> Result<T, PgError> {
        let end_statement = if transaction_result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        match (transaction_result, self.batch_execute(end_statement).await) {
            (transaction_result, Ok(())) => {
                drop(self.connection.take());
                transaction_result
            }
            (Ok(_), Err(commit_error)) => Err(commit_error),
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

fn require_row(row: Option<Row>) -> Result<Row, PgError> {
    row.ok_or_else(|| PgError::InvalidRow("a row is missing".to_owned()))
}
