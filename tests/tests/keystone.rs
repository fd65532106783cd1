//! The real binary behind a real Keystone, by contract case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use dcm_tests::{Answer, Dcm, Http, Keystone, eventually, run_dcm};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);
const SUBCLOUDS: &str = "/v1.0/subclouds";

async fn get(http: &Http, token: &str) -> Answer {
    http.get(SUBCLOUDS).header("x-auth-token", token).send().await
}

/// How many tokens the program has asked Keystone about.
async fn validations(http: &Http) -> u64 {
    let metrics = http.get("/metrics").send().await.expect(200).body;
    let values = metrics.lines().filter(|line| line.starts_with("dcm_keystone_validations_total"));
    values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

fn assert_challenged(answer: &Answer, keystone: &Keystone, why: &str) {
    assert_eq!(answer.status, 401, "{}", answer.body);
    let challenge = format!("Keystone uri=\"{}\"", keystone.url());
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()));
    assert!(answer.body.contains("Failed to validate access token") && answer.body.contains(why));
}

#[tokio::test]
async fn operators_commands_show_their_token() {
    let keystone = Keystone::start().await;
    let dcm = keystone.serve().start().await;
    let with = async |token: &str, words: &[&str]| {
        run_dcm(words.iter().copied().chain(["--url", dcm.url(), "--token", token])).await
    };
    let (admin, reader) = (keystone.token("admin").await, keystone.token("reader").await);
    with(&admin, &["projections", "rebuild", "subclouds"]).await.ok();
    with(&reader, &["projections", "list"]).await.ok();
    with(&admin, &["events"]).await.ok();
    for (token, words, status) in [
        (reader.as_str(), &["projections", "rebuild", "subclouds"][..], "403"),
        ("unknown", &["projections", "list"], "401"),
        (&reader, &["events"], "403"),
        ("unknown", &["events"], "401"),
        ("no\nheader", &["projections", "list"], "--token"),
    ] {
        let refused = with(token, words).await;
        assert!(
            !refused.status.success() && refused.stderr.contains(status),
            "{words:?}: {}",
            refused.stderr
        );
    }
    let anonymous = run_dcm(["projections", "list", "--url", dcm.url()]).await;
    assert!(!anonymous.status.success() && anonymous.stderr.contains("401"), "{}", anonymous.stderr);
}

#[tokio::test]
async fn ac_33_34_35_36_39_40_41_42_the_token_decides() {
    let keystone = Keystone::start().await;
    let dcm = keystone.serve().start().await;
    let http = dcm.http();

    assert_challenged(&http.get(SUBCLOUDS).send().await, &keystone, "Authentication required");
    assert_eq!(validations(&http).await, 0);

    let admin = keystone.token("admin").await;
    for _ in 0..3 {
        let answer = get(&http, &admin).await.expect(200);
        let id = answer.header("x-openstack-request-id").unwrap();
        assert!(id.starts_with("req-") && id.len() == 40, "{id}");
    }
    assert_eq!(validations(&http).await, 1);
    for _ in 0..3 {
        let answer = get(&http, "gAAAA-unknown-token").await;
        assert_challenged(&answer, &keystone, "Auth token is invalid");
        assert!(!answer.body.contains("gAAAA"), "{}", answer.body);
    }
    assert_eq!(validations(&http).await, 2);

    let pretended = [("x-identity-status", "Confirmed"), ("x-role", "admin"), ("x-user-id", "u")];
    let with = |path: &str| {
        pretended.iter().fold(http.get(path), |request, (name, value)| request.header(name, value))
    };
    assert_challenged(&with(SUBCLOUDS).send().await, &keystone, "Authentication required");
    let _ = http.get(SUBCLOUDS).header("x-storage-token", &admin).send().await.expect(200);
    let _ = http.get("/").header("x-auth-token", "bad").send().await.expect(200);

    // What is wrong with the request's path or form is said without asking who it is from.
    let _ = http.get("/v1.0/unknown").send().await.expect(404);
    let _ = http.get(SUBCLOUDS).header("accept", "text/html").send().await.expect(406);

    // A reader who says it is more stays a reader.
    let reader = keystone.token("reader").await;
    let _ = with(SUBCLOUDS).header("x-auth-token", &reader).send().await.expect(200);
    let posted = http.post(SUBCLOUDS).header("x-auth-token", &reader).header("x-role", "admin");
    let _ = posted.header("x-roles", "admin").send().await.expect(403);

    // Policy sees the token's project, and that there is none.
    let _ = get(&http, &keystone.token("services-admin").await).await.expect(200);
    let _ = get(&http, &keystone.token("demo").await).await.expect(403);
    let _ = get(&http, &keystone.token_for("reader", None).await).await.expect(403);

    let secrets = [admin.as_str(), &reader, "gAAAA", &Keystone::password("dcmanager")];
    for secret in secrets {
        assert!(!dcm.logs().contains(secret), "the log shows a token or a password");
    }
}

#[tokio::test]
async fn many_at_once_with_a_new_token_are_one_question() {
    let keystone = Keystone::start().await;
    let dcm = keystone.serve().start().await;
    let (http, token) = (dcm.http(), keystone.token("reader").await);
    let answers = futures::future::join_all((0..20).map(|_| get(&http, &token))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(validations(&http).await, 1);
}

#[tokio::test]
async fn ac_37_expired_tokens_are_refused_and_ac_106_the_own_one_is_renewed_in_time() {
    let life = Duration::from_secs(5);
    let keystone = Keystone::start_with_tokens_of(life).await;
    let dcm = keystone.serve().start().await;
    let http = dcm.http();
    let issued = Instant::now();
    let token = keystone.token("reader").await;
    let _ = get(&http, &token).await.expect(200);
    let expired = eventually("the token expires", PATIENCE, async || match get(&http, &token).await {
        answer if answer.status == 200 => Err("still accepted"),
        answer => Ok(answer),
    })
    .await;
    assert_challenged(&expired, &keystone, "Auth token is invalid");
    assert!(issued.elapsed() < life + Duration::from_secs(3), "it was honoured past its end");
    assert_eq!(validations(&http).await, 1, "the answer that is known is looked at again, not asked for");

    // The program's own token has expired with it; and it never was one that Keystone refused.
    let _ = get(&http, &keystone.token("reader").await).await.expect(200);
    assert_eq!(validations(&http).await, 2);

    // A service may still speak for the user whose token expired while it worked.
    let service = keystone.token("dcmanager").await;
    let vouched = http.get(SUBCLOUDS).header("x-auth-token", &token).header("x-service-token", &service);
    let _ = vouched.send().await.expect(200);
    let alone = http.get(SUBCLOUDS).header("x-service-token", &keystone.token("dcmanager").await);
    assert_challenged(&alone.send().await, &keystone, "Authentication required");
    let fresh = keystone.token("reader").await;
    let beside =
        http.get(SUBCLOUDS).header("x-auth-token", &fresh).header("x-service-token", "gAAAA-no-token");
    let _ = beside.send().await.expect(200);
}

#[tokio::test]
async fn ac_38_an_outage_is_503_until_it_is_over() {
    let mut keystone = Keystone::start().await;
    let dcm = keystone.serve().flag("--set", "keystone.timeout_secs=2").start().await;
    let http = dcm.http();
    let (known, new) = (keystone.token("reader").await, keystone.token("admin").await);
    let _ = get(&http, &known).await.expect(200);

    keystone.kill();
    for _ in 0..2 {
        let answer = get(&http, &new).await.expect(503);
        assert!(answer.header("retry-after").is_some() && answer.header("www-authenticate").is_none());
        assert!(!answer.body.contains(&new));
    }
    let _ = get(&http, &known).await.expect(200);
    let _ = http.get("/healthz").send().await.expect(200);
    keystone.start_again().await;
    let _ = get(&http, &new).await.expect(200);

    let newer = keystone.token("member").await;
    keystone.pause();
    let asked = Instant::now();
    let _ = get(&http, &newer).await.expect(503);
    assert!(asked.elapsed() < Duration::from_secs(10));
    keystone.resume();
    let _ = get(&http, &newer).await.expect(200);
    assert_eq!(dcm.logs().matches("Keystone cannot be asked").count(), 2, "{}", dcm.logs());
}

#[tokio::test]
async fn ac_44_a_revoked_token_is_honoured_for_the_configured_time_and_no_longer() {
    let keystone = Keystone::start().await;
    let bound = Duration::from_secs(4);
    let dcm = keystone.serve().flag("--set", "keystone.token_cache_time=4").start().await;
    let (http, token) = (dcm.http(), keystone.token("reader").await);
    let used = Instant::now();
    let _ = get(&http, &token).await.expect(200);
    keystone.revoke(&token).await;
    assert!(!keystone.knows(&token).await);
    let answer = get(&http, &token).await;
    if used.elapsed() < bound {
        let _ = answer.expect(200);
    }
    let ended =
        eventually("the revoked token is refused", PATIENCE, async || match get(&http, &token).await {
            answer if answer.status == 401 => Ok(Instant::now()),
            answer => Err(answer.status),
        })
        .await;
    assert!(ended - used < bound + Duration::from_secs(3), "{:?}", ended - used);

    let off = keystone.serve().flag("--set", "keystone.token_cache_time=0").start().await;
    let (http, token) = (off.http(), keystone.token("reader").await);
    let _ = get(&http, &token).await.expect(200);
    keystone.revoke(&token).await;
    assert_challenged(&get(&http, &token).await, &keystone, "Auth token is invalid");
}

#[tokio::test]
async fn ac_71_the_audit_log_names_the_tokens_user() {
    let keystone = Keystone::start().await;
    let dcm = keystone.serve().start().await;
    let (http, token) = (dcm.http(), keystone.token("admin").await);
    let path = format!("{SUBCLOUDS}/nobody?secret=x");
    let body = json!({"description": "x", "sysadmin_password": "s3cret-body"});
    let answer = http.patch(&path).header("x-auth-token", &token).json(&body).send().await.expect(404);
    let id = answer.header("x-openstack-request-id").unwrap().to_owned();
    let _ = http.patch(&path).json(&body).send().await.expect(401);
    let lines = || -> Vec<String> {
        let logs = dcm.logs();
        logs.lines()
            .filter(|line| line.contains("dcmanager.common.context.auditor"))
            .map(str::to_owned)
            .collect()
    };
    let lines = eventually("both requests are in the log", PATIENCE, async || match lines() {
        lines if lines.len() == 2 => Ok(lines),
        lines => Err(lines),
    })
    .await;
    let place = format!("127.0.0.1 \"PATCH {SUBCLOUDS}/nobody HTTP/1.1\" status: ");
    assert!(lines[0].contains(&format!("[{id} ")) && lines[0].contains(&format!("{place}404 ")), "{lines:?}");
    assert!(lines[0].contains("user: admin tenant: admin domain: Default"), "{lines:?}");
    assert!(lines[1].contains(&format!(" None None] {place}401 ")), "{lines:?}");
    assert!(!dcm.logs().contains("s3cret-body") && !dcm.logs().contains(&token));
}

#[tokio::test]
async fn ac_30_31_32_43_a_proxys_headers_are_believed_and_nothing_else() {
    let dcm = Dcm::serve().flag("--auth", "headers").start().await;
    let http = dcm.http();
    let ask = async |pairs: &[(&str, &str)]| {
        let rest = [("x-user-id", "u"), ("x-tenant-id", "t"), ("x-project-name", "admin")];
        let pairs = rest.iter().chain(pairs);
        pairs.fold(http.get(SUBCLOUDS), |request, (name, value)| request.header(name, value)).send().await
    };
    let roles = ("x-role", "admin,member,reader");
    for status in [[].as_slice(), &[("x-identity-status", "confirmed")], &[("x-auth-token", "gAAAA")]] {
        let answer = ask(&[status, &[roles]].concat()).await.expect(401);
        assert_eq!(answer.header("www-authenticate"), None);
        assert!(!answer.body.contains("gAAAA"));
    }
    let _ = ask(&[("x-identity-status", "Confirmed"), roles]).await.expect(200);
    let _ = ask(&[("x-service-identity-status", "Confirmed"), roles]).await.expect(200);
    let _ = ask(&[("x-identity-status", "Confirmed")]).await.expect(403);
}

#[tokio::test]
async fn modes_that_believe_whoever_asks_stay_on_loopback() {
    for mode in ["none", "headers"] {
        let open = Dcm::serve().listen("0.0.0.0:0").flag("--auth", mode);
        let refused = open.try_start().await.expect_err("it must refuse to start");
        assert!(refused.stderr.contains("--allow-open-listen"), "{}", refused.stderr);
        let told = open.arg("--allow-open-listen").start().await;
        let _ = told.http().get("/healthz").send().await.expect(200);
    }
}
