//! The way to the server: a pool of connections, and one transaction at a time on one of them.
//!
//! Leaves nothing behind in a session (no named statements, no settings, no session locks), so that a pooler that
//! gives every transaction another connection may stand between. A transaction that is dropped half way takes its
//! connection with it.

use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, NoTls, Row};

use super::fault::Trouble;
use crate::error::{Error, Kind, Result};

/// The most connections one process opens.
const CONNECTIONS_MAX: usize = 16;

/// How long a connection may take to be made, or to become free.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long the server may leave what we sent unacknowledged before the connection counts as broken.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The server gives up a transaction whose host says nothing for so long, cut off or frozen: what it holds, the
/// others wait for. Ends with the transaction.
const FROZEN: &str = "SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// Values with their types, for one statement: `bind![id, name]`.
macro_rules! bind {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::postgres::link::Bind::bind(&$value)),*]
    };
}

pub(super) use bind;

/// A value whose type the server need not be asked for.
pub trait Bind: ToSql + Sync + Sized {
    /// Its type there.
    const TYPE: Type;

    /// The value with its type.
    fn bind(&self) -> Bound<'_> {
        (self, Self::TYPE)
    }
}

/// A value with its type.
pub type Bound<'a> = (&'a (dyn ToSql + Sync), Type);

macro_rules! types {
    ($($value:ty => $name:ident;)*) => {
        $(impl Bind for $value {
            const TYPE: Type = Type::$name;
        })*
    };
}

type Text<'a> = std::borrow::Cow<'a, str>;

types! {
    i64 => INT8;
    Option<i64> => INT8;
    &str => TEXT;
    Option<&str> => TEXT;
    Text<'_> => TEXT;
    Option<Text<'_>> => TEXT;
    Vec<u8> => BYTEA;
    Vec<i64> => INT8_ARRAY;
    Vec<Option<i64>> => INT8_ARRAY;
    Vec<&str> => TEXT_ARRAY;
    Vec<String> => TEXT_ARRAY;
    Vec<Text<'_>> => TEXT_ARRAY;
    Vec<Option<&str>> => TEXT_ARRAY;
    Vec<Option<Text<'_>>> => TEXT_ARRAY;
    Vec<Vec<u8>> => BYTEA_ARRAY;
}

/// A pool of connections to one database.
#[derive(Clone)]
pub struct Link {
    pool: Pool,
}

impl Link {
    /// Reads the URL. Connects to nothing yet.
    pub fn new(url: &str) -> Result<Self> {
        let config = read_url(url)?;
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(config, NoTls, recycling);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS_MAX)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_LIMIT))
            .create_timeout(Some(CONNECT_LIMIT))
            .build()
            .map_err(|error| Error::because(Kind::Internal, "cannot make a pool of connections", error))?;
        Ok(Self { pool })
    }

    /// Begins a transaction that may write.
    pub async fn write(&self) -> Result<Desk, Trouble> {
        self.begin(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {FROZEN}"
        ))
        .await
    }

    /// Begins a transaction that reads one moment's truth.
    pub async fn read(&self) -> Result<Desk, Trouble> {
        self.begin(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {FROZEN}"
        ))
        .await
    }

    /// Connections that broke unnoticed, as all of them do when the server starts again, are thrown away.
    async fn begin(&self, words: &str) -> Result<Desk, Trouble> {
        let mut broken = 0;
        loop {
            let desk = Desk {
                client: Some(self.pool.get().await?),
            };
            match desk.client()?.batch_execute(words).await {
                Ok(()) => return Ok(desk),
                Err(error) if broken < CONNECTIONS_MAX && has_broken(&error) => broken += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether it is the connection that ended: the server closed it, said that it would, or is not there.
fn has_broken(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(|code| *code == SqlState::ADMIN_SHUTDOWN)
}

fn read_url(url: &str) -> Result<Config> {
    let mut config = Config::from_str(url).map_err(|error| {
        Error::because(
            Kind::Usage,
            "the store's URL cannot be read as PostgreSQL's",
            error,
        )
    })?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(Error::usage(
            "this version speaks to PostgreSQL without TLS only: leave sslmode=require out of the store's URL and \
             keep the way to the server private, or put a TLS tunnel between",
        ));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_LIMIT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE_LIMIT);
    }
    if config.get_application_name().is_none() {
        config.application_name("postrider");
    }
    config.keepalives_idle(SILENCE_LIMIT);
    Ok(config)
}

/// One transaction. Whatever is not committed has not happened.
pub struct Desk {
    client: Option<Object>,
}

impl Desk {
    fn client(&self) -> Result<&Object, Trouble> {
        self.client
            .as_ref()
            .ok_or_else(|| Trouble::Row("the transaction is over".to_owned()))
    }

    /// The rows of a statement.
    pub async fn rows(&self, sql: &str, values: &[Bound<'_>]) -> Result<Vec<Row>, Trouble> {
        Ok(self.client()?.query_typed(sql, values).await?)
    }

    /// The first row of a statement, if there is one.
    pub async fn row(&self, sql: &str, values: &[Bound<'_>]) -> Result<Option<Row>, Trouble> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The only row of a statement.
    pub async fn one(&self, sql: &str, values: &[Bound<'_>]) -> Result<Row, Trouble> {
        let row = self.row(sql, values).await?;
        row.ok_or_else(|| Trouble::Row("a row is missing".to_owned()))
    }

    /// Runs a statement that changes rows; how many.
    pub async fn run(&self, sql: &str, values: &[Bound<'_>]) -> Result<u64, Trouble> {
        Ok(self.client()?.execute_typed(sql, values).await?)
    }

    /// Runs several statements without values.
    pub async fn script(&self, sql: &str) -> Result<(), Trouble> {
        Ok(self.client()?.batch_execute(sql).await?)
    }

    /// Commits what succeeded, undoes what did not, and gives the connection back.
    pub async fn end<T>(mut self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        let words = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.client()?.batch_execute(words).await;
        match (outcome, ended) {
            (outcome, Ok(())) => {
                drop(self.client.take());
                outcome
            }
            (Ok(_), Err(error)) => Err(error.into()),
            (Err(trouble), Err(_)) => Err(trouble),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
