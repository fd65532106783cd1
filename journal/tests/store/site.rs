//! A place for one journal, of any engine.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_esdb_double::Node;
use dcm_journal::conformance::Place;
use dcm_journal::store::{Journal, OpenError, open};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::cluster::Cluster;

/// A journal's place, gone with this value.
pub struct Site {
    pub dir: TempDir,
    pub server: Option<Server>,
    pub node: Option<Node>,
}

/// A database of a test's own.
pub struct Server {
    pub cluster: Arc<Cluster>,
    pub database: String,
}

impl Server {
    pub fn url(&self, port: u16) -> String {
        format!("postgres://dcm:hunter2@127.0.0.1:{port}/{}", self.database)
    }

    pub async fn connect(&self) -> PgConnection {
        self.url(self.cluster.port).parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
    }
}

#[async_trait]
impl Place for Site {
    async fn open(&self) -> Result<Arc<dyn Journal>, OpenError> {
        self.try_open().await
    }
}

impl Site {
    pub async fn sqlite() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server: None, node: None }
    }

    pub async fn postgres() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
        let database = format!("j{}", Uuid::new_v4().simple());
        let server = Server { cluster, database: "postgres".to_owned() };
        let mut admin = server.connect().await;
        let create = format!("create database {database}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        let server = Some(Server { database, ..server });
        Self { dir: tempfile::tempdir().unwrap(), server, node: None }
    }

    pub async fn esdb() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server: None, node: Some(Node::start()) }
    }

    pub fn url(&self) -> String {
        match (&self.server, &self.node) {
            (Some(server), _) => server.url(server.cluster.port),
            (_, Some(node)) => node.url(),
            _ => "embedded:".to_owned(),
        }
    }

    /// Another adapter on the same journal, as another process would have it.
    pub async fn open(&self) -> Arc<dyn Journal> {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<Arc<dyn Journal>, OpenError> {
        open(&self.url(), self.dir.path()).await
    }

    /// An adapter of the same kind on another journal, which goes with the journal's store.
    pub async fn open_elsewhere(&self) -> Arc<dyn Journal> {
        match (&self.server, &self.node) {
            (Some(_), _) => Self::postgres().await.open().await,
            (_, Some(_)) => Self::esdb().await.open().await,
            _ => Self::sqlite().await.open().await,
        }
    }

    /// Replaces a part of a stored event's text behind the journal's back.
    pub async fn alter(&self, order: u64, from: &str, to: &str) {
        match &self.node {
            Some(node) => node.store.alter(order, from, to),
            None => {
                let statement = format!(
                    "update journal_event set body = replace(body, '{from}', '{to}') where ord = {order}"
                );
                assert_eq!(self.tamper(statement).await, 1);
            }
        }
    }

    /// Removes a stored event behind the journal's back.
    pub async fn remove(&self, order: u64) {
        match &self.node {
            Some(node) => node.store.remove(order),
            None => {
                let statement = format!("delete from journal_event where ord = {order}");
                assert_eq!(self.tamper(statement).await, 1);
            }
        }
    }

    /// Makes the journal one of another format.
    pub async fn set_format(&self, format: u32) {
        match &self.node {
            Some(node) => node.store.alter_header(&format!("\"format\":{format}")),
            None => {
                assert_eq!(self.tamper(format!("update journal_meta set format = {format}")).await, 1);
            }
        }
    }

    /// Runs a statement behind the journal's back; returns the rows changed.
    async fn tamper(&self, statement: String) -> u64 {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        match &self.server {
            Some(server) => {
                let mut connection = server.connect().await;
                let changed = statement.execute(&mut connection).await.unwrap().rows_affected();
                connection.close().await.unwrap();
                changed
            }
            None => {
                let file = SqliteConnectOptions::new().filename(self.dir.path().join("journal.db"));
                let mut connection = file.connect().await.unwrap();
                let changed = statement.execute(&mut connection).await.unwrap().rows_affected();
                connection.close().await.unwrap();
                changed
            }
        }
    }
}
