//! `dcm show`: the state of a subcloud at any moment.

use std::process::ExitCode;

use super::client::{Server, segment};
use super::{Failure, line};

/// What to show.
#[derive(clap::Args)]
pub struct Args {
    /// Name or id.
    subcloud: String,
    /// A moment (RFC 3339) or a revision.
    #[arg(long, value_name = "TIME|REVISION")]
    as_of: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// Shows the subcloud as one JSON document.
pub async fn run(args: &Args) -> Result<ExitCode, Failure> {
    let path = format!("/v1.0/subclouds/{}", segment(&args.subcloud));
    let query: Vec<_> = args.as_of.iter().map(|moment| ("as_of", moment.clone())).collect();
    let shown = args.server.get(&path, &query).await?;
    line(serde_json::to_string_pretty(&shown).unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}
