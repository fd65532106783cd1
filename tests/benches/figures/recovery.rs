//! Rebuilding read models beside inserting the rows they end with.

use futures::TryStreamExt;
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::fleet::Plan;
use crate::plan::{Bench, median};
use crate::table::{Row, Target};
use crate::world::{Engine, timed};

/// Releases and returns of each subcloud in the journal that is folded again.
const TURNS: usize = 2;

/// Events folded a second by a rebuild on PostgreSQL, and its time beside a bulk insert of the rows it made.
pub async fn rebuild(bench: &mut Bench) {
    let sizes = bench.sizes;
    let plan = Plan { subclouds: sizes.large, turns: TURNS };
    let served = bench.world.served(Engine::Postgres, plan, &[]).await;
    let url = served.database.clone().expect("it is on PostgreSQL");
    let http = served.dcm.http();
    for (model, tables) in [
        ("subclouds", &["subcloud", "subcloud_change", "deploy_run"][..]),
        ("history", &["subcloud_history"][..]),
    ] {
        let (mut rebuilds, mut inserts, mut events, mut rows) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..sizes.rounds {
            let path = format!("/v1.0/projections/{model}/rebuild");
            let (seconds, answer) = timed(http.post(&path).send()).await;
            let rebuilt = answer.expect(200).json();
            events = rebuilt["events"].as_u64().expect("how many events");
            rebuilds.push(seconds);
            let version = rebuilt["version"].as_i64().expect("a version");
            let mut all = 0.0;
            rows = 0;
            for table in tables {
                let (seconds, count) = copy(&url, &format!("{table}_v{version}")).await;
                all += seconds;
                rows += count;
            }
            inserts.push(all);
        }
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
        let events = events as f64;
        let (took, insert) = (median(&rebuilds), median(&inserts));
        let rate = Row::new(format!("rebuild of {model}, PostgreSQL"), events / took, "events/s");
        bench.row(rate.target(Target::Above(50_000.0)).note(format!("{events} events")));
        let figure = format!("rebuild of {model}, PostgreSQL, time the other way round");
        let row = Row::new(figure, 1.0 / took, "/s").target(Target::AtLeast(0.3));
        bench
            .row(row.floor("bulk insert (COPY) of the same rows", 1.0 / insert).note(format!("{rows} rows")));
    }
}

/// Inserts the rows of a table in bulk into one like it, indices included; seconds and rows.
async fn copy(url: &str, table: &str) -> (f64, u64) {
    let mut connection = PgConnection::connect(url).await.expect("connect");
    let pool = sqlx::PgPool::connect(url).await.expect("connect");
    let mut rows = Vec::new();
    let mut out = pool.copy_out_raw(&format!("copy {table} to stdout")).await.expect("read the rows");
    while let Some(bytes) = out.try_next().await.expect("read the rows") {
        rows.extend_from_slice(&bytes);
    }
    drop(out);
    let like = format!("drop table if exists bulk_copy; create table bulk_copy (like {table} including all)");
    sqlx::raw_sql(AssertSqlSafe(like)).execute(&mut connection).await.expect("create a table");
    let insert = async {
        let mut into = connection.copy_in_raw("copy bulk_copy from stdin").await.expect("insert the rows");
        into.send(rows).await.expect("insert the rows");
        into.finish().await.expect("insert the rows")
    };
    timed(insert).await
}
