//! A place for one journal, of either engine.

use std::sync::Arc;

use dcm_journal::store::{Journal, open};
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

impl Site {
    pub async fn sqlite() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server: None }
    }

    pub async fn postgres() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
        let database = format!("j{}", Uuid::new_v4().simple());
        let server = Server { cluster, database: "postgres".to_owned() };
        let mut admin = server.connect().await;
        let create = format!("create database {database}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        let server = Some(Server { database, ..server });
        Self { dir: tempfile::tempdir().unwrap(), server }
    }

    /// Another adapter on the same journal, as another process would have it.
    pub async fn open(&self) -> Arc<dyn Journal> {
        let url = match &self.server {
            Some(server) => server.url(server.cluster.port),
            None => "embedded:".to_owned(),
        };
        open(&url, self.dir.path()).await.unwrap()
    }

    /// Runs a statement behind the journal's back; returns the rows changed.
    pub async fn tamper(&self, statement: &'static str) -> u64 {
        match &self.server {
            Some(server) => {
                let mut connection = server.connect().await;
                let changed = sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected();
                connection.close().await.unwrap();
                changed
            }
            None => {
                let file = SqliteConnectOptions::new().filename(self.dir.path().join("journal.db"));
                let mut connection = file.connect().await.unwrap();
                let changed = sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected();
                connection.close().await.unwrap();
                changed
            }
        }
    }
}
