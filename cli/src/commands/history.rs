//! `dcm history`: what happened to a subcloud.

use std::process::ExitCode;

use serde_json::Value;

use super::client::{Server, segment};
use super::{Failure, line};

/// What to show.
#[derive(clap::Args)]
pub struct Args {
    /// Name, id or uuid; a deleted subcloud by uuid or by its last name.
    subcloud: String,
    /// Only what happened from this moment on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events of this type.
    #[arg(long = "type", value_name = "EVENT")]
    event_type: Option<String>,
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Shows the whole history, page by page.
pub async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let path = format!("/v1.0/subclouds/{}/history", segment(&args.subcloud));
    let mut marker = None;
    let mut all = Vec::new();
    loop {
        let page = args.server.get(&path, &query(args, marker.take())).await?;
        let events = page.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        match args.json {
            true => all.extend(events),
            false => events.iter().try_for_each(|event| line(sentence(event)))?,
        }
        marker = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    if args.json {
        line(serde_json::json!({"events": all}))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn query(args: &Args, marker: Option<String>) -> Vec<(&'static str, String)> {
    let given = [("since", args.since.clone()), ("type", args.event_type.clone()), ("marker", marker)];
    let given = given.into_iter().filter_map(|(key, value)| Some((key, value?)));
    given.chain([("limit", "1000".to_owned())]).collect()
}

/// One event as a line: when, what.
fn sentence(event: &Value) -> String {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let actor = event.pointer("/actor/user_id").and_then(Value::as_str).unwrap_or_default();
    format!("{}  {:<24}  {:<20}  {}", text("recorded_at"), text("type"), actor, text("sentence"))
}
