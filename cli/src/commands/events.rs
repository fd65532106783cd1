//! `dcm events`: everything that happens, as it happens.

use std::process::ExitCode;

use futures::StreamExt;
use serde_json::Value;

use super::client::Server;
use super::{Failure, line};

/// What to show.
#[derive(clap::Args)]
pub struct Args {
    /// Go on with new events instead of ending at the last one.
    #[arg(long)]
    follow: bool,
    /// Begin after this position.
    #[arg(long, value_name = "POSITION")]
    from: Option<String>,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Shows one line per event.
pub async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut query = vec![("follow", args.follow.to_string())];
    query.extend(args.from.iter().map(|position| ("from", position.clone())));
    let answer = args.server.stream("/v1.0/events", &query, "text/event-stream").await?;
    let mut chunks = answer.bytes_stream();
    let mut unread = Vec::new();
    while let Some(chunk) = chunks.next().await {
        unread.extend_from_slice(&chunk.map_err(|cause| args.server.unreachable(cause))?);
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let text: Vec<u8> = unread.drain(..=end).collect();
            show(String::from_utf8_lossy(&text).trim_end(), args.json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what one line of the stream carries, if it carries an event.
fn show(text: &str, json: bool) -> Result<(), std::io::Error> {
    let Some(data) = text.strip_prefix("data:").map(str::trim_start) else { return Ok(()) };
    if json {
        return line(data);
    }
    let Ok(event) = serde_json::from_str::<Value>(data) else { return Ok(()) };
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let revision = event.get("revision").and_then(Value::as_u64).unwrap_or_default();
    line(format_args!(
        "{}  {:<24}  {}@{revision}  {}",
        text("recorded_at"),
        text("type"),
        text("stream"),
        event.get("data").unwrap_or(&Value::Null)
    ))
}
