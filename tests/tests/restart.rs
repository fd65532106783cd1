//! Stopping at any moment loses nothing that was answered; starting again goes on where it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how long it took is for the reader of the log")]

use std::time::Duration;

use dcm_tests::{Dcm, Deployment, Form, Http, Way, both_ways, entry, eventually, list_of, show};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

both_ways!(killed_and_started_again);

const SOON: Duration = Duration::from_secs(30);

async fn set(http: &Http, name: &str, fields: &[(&str, &str)]) -> Value {
    let form = fields.iter().fold(Form::new(), |form, (name, value)| form.field(name, value));
    http.patch_form(&format!("/v1.0/subclouds/{name}"), &form).await.expect(200).json()
}

async fn history(http: &Http) -> Value {
    http.get_json("/v1.0/subclouds/subcloud1/history").await
}

async fn killed_and_started_again(way: Way) {
    let mut deployment = Deployment::new(way).demo(3).start().await;
    let before = list_of(&deployment.http()).await;
    for round in 0..3 {
        let text = format!("round {round}");
        let http = deployment.http();
        set(&http, "subcloud1", &[("migrate", "true"), ("management-state", "unmanaged")]).await;
        let told = history(&http).await;
        // The answer is the last thing that happens before everything is killed.
        let row = set(&http, "subcloud1", &[("description", &text)]).await;
        deployment.kill();
        deployment.restart().await;

        let http = deployment.http();
        let caught_up = eventually("the last answer is shown", SOON, async || {
            let shown = show(&http, "subcloud1").await;
            if shown["description"] == text.as_str() { Ok(shown) } else { Err(shown) }
        });
        let shown = caught_up.await;
        for key in ["deploy-status", "management-state", "id", "management-subnet"] {
            assert_eq!(shown[key], row[key], "{key}");
        }
        let (told, now) = (told["events"].as_array().unwrap().clone(), history(&http).await);
        assert_eq!(&now["events"].as_array().unwrap()[..told.len()], told.as_slice());
        assert_eq!(
            set(&http, "subcloud1", &[("management-state", "managed")]).await["deploy-status"],
            "complete"
        );
    }
    let after = list_of(&deployment.http()).await;
    for name in ["subcloud2", "subcloud3"] {
        assert_eq!(entry(&after, name), entry(&before, name), "an untouched subcloud changed");
    }
    // A second process would write into the same files.
    let second = Dcm::serve().data_dir(&deployment.background().data_dir()).try_start().await;
    let refused = second.expect_err("a second process on one data directory");
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("in use by another dcm"), "{}", refused.stderr);
    assert_eq!(show(&deployment.http(), "subcloud1").await["deploy-status"], "complete");
    deployment.end().await;
}

#[tokio::test]
async fn a_drained_process_has_answered_what_it_took() {
    let serve = Dcm::serve().flag("--demo", "1");
    let mut dcm = serve.start().await;
    let http = dcm.http();
    let request = |number: u32| {
        let http = http.clone();
        let form = Form::new().field("location", &format!("place {number}"));
        async move { (number, http.patch("/v1.0/subclouds/subcloud1").form(&form).try_send().await) }
    };
    let (first, _) = request(0).await;
    let requests = (1..40).map(|number| tokio::spawn(request(number)));
    // Some are answered, some are being carried out, some have not arrived when it is told to end.
    let (one, _, rest) = futures::future::select_all(requests).await;
    assert!(dcm.terminate().await.success());
    let mut answered = vec![first];
    for ended in std::iter::once(one).chain(futures::future::join_all(rest).await) {
        // A connection that came too late has no answer.
        if let (number, Ok(answer)) = ended.unwrap() {
            assert!(matches!(answer.status, 200 | 503), "{}", answer.body);
            answered.extend((answer.status == 200).then_some(number));
        }
    }
    println!("answered before the end: {answered:?}");

    let mut again = serve.start().await;
    eventually("what was answered is told", SOON, async || {
        let told = history(&again.http()).await;
        let events = told["events"].as_array().unwrap();
        let is_told = |number: &&u32| {
            let place = format!("place {number}");
            events.iter().any(|event| event["data"]["location"] == place.as_str())
        };
        if answered.iter().all(|number| is_told(&number)) { Ok(()) } else { Err(told) }
    })
    .await;
    assert!(again.terminate().await.success());
}

#[tokio::test]
async fn a_draining_process_says_so_and_answers_on() {
    let mut dcm = Dcm::serve().flag("--demo", "1").flag("--set", "http.drain_secs=600").start().await;
    let (http, fresh) = (dcm.http(), Http::unpooled(dcm.url()));
    let before = http.get("/v1.0/subclouds/subcloud1").send().await.expect(200);
    assert_eq!(before.header("connection"), None);
    dcm.drain();
    eventually("it says that it drains", SOON, async || {
        let answer = fresh.get("/readyz").send().await;
        let said = answer.json()["parts"]["api"].clone();
        if answer.status == 503 && said == "draining" { Ok(()) } else { Err(answer.body) }
    })
    .await;
    // On the connection that was kept, which ends with it, and on a new one.
    for http in [&http, &fresh] {
        let form = Form::new().field("location", "here");
        let answer = http.patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(200);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(dcm.exited(), None);
    // Being asked again cuts it short.
    assert!(dcm.terminate().await.success());
}

#[tokio::test]
async fn an_event_stream_is_brought_to_its_end() {
    let mut dcm = Dcm::serve().flag("--demo", "1").start().await;
    let address = dcm.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /v1.0/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    assert!(read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&read));
    assert!(dcm.terminate().await.success());
    stream.read_to_end(&mut read).await.unwrap();
    assert!(read.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&read));
}
