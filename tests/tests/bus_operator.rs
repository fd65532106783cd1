//! What an operator does with the bus: proves that it agrees with the journal, repairs it, sees to dead letters, and
//! changes how it is kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::time::Duration;

use async_nats::jetstream::{self, AckKind, consumer::pull};
use dcm_tests::{Dcm, Deployment, Finished, Nats, Serve, Stores, Way, eventually, run_dcm};
use futures::StreamExt;
use serde_json::Value;

const LONG: Duration = Duration::from_secs(60);

/// `dcm bus …` beside the processes of a deployment.
async fn bus(deployment: &Deployment, words: &[&str]) -> Finished {
    on(deployment.stores(), words).await
}

async fn on(stores: &Stores, words: &[&str]) -> Finished {
    let arguments = stores.arguments();
    let named = arguments.chunks(2).filter(|pair| ["--journal", "--bus"].contains(&pair[0].as_str()));
    let words = ["bus"].iter().chain(words).map(|word| (*word).to_owned());
    run_dcm(words.chain(named.flatten().cloned()).map(OsString::from)).await
}

fn json(finished: Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

async fn context(nats: &Nats) -> jetstream::Context {
    jetstream::new(async_nats::connect(nats.url()).await.unwrap())
}

/// Changes something, so that the relay has something to publish.
async fn rename(deployment: &Deployment, description: &str) {
    let form = dcm_tests::Form::new().field("description", description);
    let answer = deployment.http().patch("/v1.0/subclouds/subcloud1").form(&form).send().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_bus_is_proved_and_repaired_beside_a_running_deployment() {
    // Ids are soon forgotten, so that what was just published can be published again.
    let soon = "jetstream.duplicate_window_secs=1";
    let mut deployment = Deployment::new(Way::Split).flag("--set", soon).start().await;
    let found = bus(&deployment, &["verify", "--json"]).await;
    assert!(found.status.success(), "{found:?}");
    let whole = json(found);
    assert_eq!((&whole["agrees"], &whole["dropped"]), (&Value::Bool(true), &Value::from(0)));
    assert!(whole["events"].as_u64().unwrap() > 10);
    let said = bus(&deployment, &["verify", "--last", "5"]).await.ok();
    assert!(said.starts_with("journal and bus agree: 5 events"), "{said}");

    // A hole in the middle.
    let context = context(deployment.nats()).await;
    let stream = context.get_stream("DCM_EVENTS").await.unwrap();
    stream.delete_message(4).await.unwrap();
    let found = bus(&deployment, &["verify", "--json", "--wait", "0"]).await;
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let found = json(found);
    assert_eq!(found["missing"]["count"], 1, "{found}");
    let missing = found["missing"]["first"][0]["position"].as_str().unwrap().to_owned();
    let said = bus(&deployment, &["verify", "--from", &missing, "--to", &missing]).await;
    assert_eq!(said.status.code(), Some(1));
    assert!(said.stdout.contains("1 missing") && said.stdout.contains(&missing), "{}", said.stdout);
    let other = "01900000-0000-7000-8000-000000000000.1";
    let refused = bus(&deployment, &["verify", "--from", other]).await;
    assert!(!refused.status.success() && refused.stderr.contains("another journal"), "{refused:?}");

    // The relay that runs is fenced and goes on.
    let done = bus(&deployment, &["repair", "--json", "--set", soon]).await;
    assert!(done.status.success(), "{done:?}");
    let done = json(done);
    assert_eq!(
        (done["republished_from"].as_str(), &done["findings"]["agrees"]),
        (Some(&*missing), &Value::Bool(true))
    );
    rename(&deployment, "repaired").await;
    bus(&deployment, &["verify"]).await.ok();

    // The front, which no limit has removed.
    stream.purge().sequence(3).await.unwrap();
    let said = bus(&deployment, &["verify"]).await;
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    for part in ["2 events are lost at the front", "2 missing", "no limit of the stream explains that"] {
        assert!(said.stdout.contains(part), "{}", said.stdout);
    }
    let done = json(bus(&deployment, &["repair", "--json", "--set", soon]).await);
    assert!(done["refilled"] == true && done["findings"]["agrees"] == true, "{done}");

    // The whole stream is gone: the relay refills it by itself.
    context.delete_stream("DCM_EVENTS").await.unwrap();
    rename(&deployment, "refilled").await;
    let found = json(bus(&deployment, &["verify", "--json", "--wait", "60"]).await);
    assert!(found["agrees"] == true && found["dropped"] == 0, "{found}");
    deployment.end().await;
}

#[tokio::test]
async fn an_embedded_journal_and_a_local_bus_are_not_looked_into_while_they_are_served() {
    let mut dcm = Dcm::serve().start().await;
    let data = dcm.data_dir();
    let nats = Nats::start().await;
    let with = |bus: &str| {
        ["bus", "verify", "--wait", "0", "--data-dir", data.to_str().unwrap(), "--bus", bus]
            .map(OsString::from)
    };
    let refused = run_dcm(with(&nats.url())).await;
    assert!(!refused.status.success() && refused.stderr.contains("in use"), "{refused:?}");
    let refused = run_dcm(with("local:")).await;
    assert!(!refused.status.success() && refused.stderr.contains("local bus"), "{refused:?}");
    dcm.terminate().await;
}

#[tokio::test]
async fn what_an_outside_subscriber_gives_up_is_a_dead_letter() {
    let mut deployment = Deployment::new(Way::Split).start().await;
    let context = context(deployment.nats()).await;
    let stream = context.get_stream("DCM_EVENTS").await.unwrap();
    let consumer = pull::Config {
        durable_name: Some("outsider".to_owned()),
        max_deliver: 2,
        ack_wait: Duration::from_millis(200),
        // The second message is alone until it is given up.
        max_ack_pending: 1,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(consumer).await.unwrap();
    let mut messages = consumer.batch().max_messages(2).expires(LONG).messages().await.unwrap();
    let terminated = messages.next().await.unwrap().unwrap();
    terminated.ack_with(AckKind::Term).await.unwrap();
    drop(messages.next().await.unwrap().unwrap());
    // The second one comes once more, and is left again.
    let mut again = consumer.batch().max_messages(1).expires(LONG).messages().await.unwrap();
    assert_eq!(again.next().await.unwrap().unwrap().info().unwrap().delivered, 2);

    let dead = eventually("both are dead letters", LONG, async || {
        // Only a consumer that is asked for messages notices that one has come often enough.
        let _ = consumer.fetch().max_messages(1).expires(Duration::from_millis(300)).messages().await;
        let found = json(bus(&deployment, &["dead", "--json"]).await);
        match found["dead"].as_array().unwrap().len() {
            2 => Ok(found["dead"].as_array().unwrap().clone()),
            _ => Err(found),
        }
    })
    .await;
    let causes: Vec<&str> = dead.iter().map(|letter| letter["cause"].as_str().unwrap()).collect();
    assert!(causes.contains(&"terminated") && causes.contains(&"max-deliveries"), "{causes:?}");
    for letter in &dead {
        assert_eq!(
            (letter["stream"].as_str(), letter["consumer"].as_str()),
            (Some("DCM_EVENTS"), Some("outsider"))
        );
        assert_eq!(letter["id"], letter["headers"]["ce-id"]);
        assert_eq!(letter["position"], letter["headers"]["ce-position"]);
        assert!(letter["payload"].is_object(), "{letter}");
    }
    assert!(deployment.background().logs().contains("kept as a dead letter"));
    let said = bus(&deployment, &["dead"]).await.ok();
    assert!(said.contains("DCM_EVENTS outsider: terminated at delivery 1"), "{said}");
    let numbers: Vec<String> = dead.iter().map(|letter| letter["number"].to_string()).collect();
    let refused = bus(&deployment, &["requeue", &numbers[0]]).await;
    assert!(
        !refused.status.success() && refused.stderr.contains("only the relay publishes events"),
        "{refused:?}"
    );
    bus(&deployment, &["discard", &numbers[0], &numbers[1]]).await.ok();
    assert_eq!(json(bus(&deployment, &["dead", "--json"]).await)["dead"], Value::Array(vec![]));
    deployment.end().await;
}

/// A deployment in one process on stores of servers, with streams as `settings` say.
fn serving(stores: &Stores, settings: &[&str]) -> Serve {
    let serve = stores.arguments().into_iter().fold(Dcm::serve(), Serve::arg);
    settings.iter().fold(serve, |serve, setting| serve.flag("--set", *setting))
}

#[tokio::test]
async fn changed_settings_are_applied_at_the_next_start_or_refuse_it() {
    let stores = Stores::new().await;
    let mut first = serving(&stores, &[]).start().await;
    assert!(first.terminate().await.success());
    let settings = [
        "jetstream.events.max_age_secs=86400",
        "jetstream.events.max_bytes=1048576",
        "jetstream.duplicate_window_secs=30",
        "jetstream.dead.max_age_secs=3600",
    ];
    let mut second = serving(&stores, &settings).start().await;
    let context = context(&stores.nats).await;
    let config = async |name| context.get_stream(name).await.unwrap().cached_info().config.clone();
    let events = config("DCM_EVENTS").await;
    assert_eq!((events.max_age, events.max_bytes), (Duration::from_secs(86_400), 1 << 20));
    assert_eq!(events.duplicate_window, Duration::from_secs(30));
    assert_eq!(config("DCM_DEAD").await.max_age, Duration::from_secs(3600));
    assert!(second.terminate().await.success());

    for (setting, what) in [
        ("jetstream.storage=memory", "jetstream.storage = \"file\""),
        ("jetstream.replicas=3", "jetstream.replicas is 3"),
    ] {
        let refused = serving(&stores, &[setting]).try_start().await.unwrap_err();
        assert!(!refused.status.success() && refused.stderr.contains(what), "{}", refused.stderr);
    }
    let wrong = ["config", "check", "--set", "jetstream.replicas=2"].map(OsString::from);
    let wrong = run_dcm(wrong).await;
    assert!(!wrong.status.success(), "{wrong:?}");
    assert!(format!("{}{}", wrong.stdout, wrong.stderr).contains("jetstream.replicas"), "{wrong:?}");
    let arguments = ["doctor".to_owned()].into_iter().chain(stores.arguments()).map(OsString::from);
    let said = run_dcm(arguments).await.stdout;
    assert!(said.contains("note  bus: NATS") && said.contains("sync_interval"), "{said}");
}
