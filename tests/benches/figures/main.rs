//! Every figure of the program beside its floor, measured in the same run: `tests/bench` starts it.
//!
//! Arguments: names of sections (default: all), `--quick` (smaller and shorter), `--markdown` (the table as Markdown).
//! Sizes are environment variables, see [`plan::Sizes`]. Both sides of a ratio are measured in turn, round by round, and the
//! medians are compared, so that what else the machine does meets both.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints, and ends when something is wrong"
)]

mod commands;
mod copies;
mod event_store;
mod fleet;
mod floor;
mod load;
mod plan;
mod reads;
mod recovery;
mod sizes;
mod streams;
mod table;
mod world;

use plan::Bench;

/// Every section, in the order of the table.
const SECTIONS: [&str; 13] = [
    "commands",
    "patch",
    "wait",
    "lag",
    "show",
    "list",
    "rebuild",
    "aggregate",
    "event-store",
    "copies",
    "offline",
    "growth",
    "start",
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match args.split_first() {
        Some((floor, rest)) if floor == "--floor" => {
            let (database, statics) = rest.split_first().expect("a database or `-`");
            runtime.block_on(floor::serve(database, statics));
        }
        _ => runtime.block_on(measure(&args)),
    }
}

async fn measure(args: &[String]) {
    let given = |flag: &str| args.iter().any(|arg| arg == flag);
    let named: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = named.iter().find(|name| !SECTIONS.contains(name)) {
        panic!("no section {unknown}; there are: {}", SECTIONS.join(" "));
    }
    let mut bench = Bench::new(given("--quick"));
    for section in SECTIONS.into_iter().filter(|section| named.is_empty() || named.contains(section)) {
        eprintln!("{section} …");
        match section {
            "commands" => commands::commands(&mut bench).await,
            "patch" => commands::patch(&mut bench).await,
            "wait" => commands::wait(&mut bench).await,
            "lag" => commands::lag(&mut bench).await,
            "show" => reads::show(&mut bench).await,
            "list" => reads::list(&mut bench).await,
            "rebuild" => recovery::rebuild(&mut bench).await,
            "aggregate" => streams::aggregate(&mut bench).await,
            "event-store" => event_store::event_store(&mut bench).await,
            "copies" => copies::copies(&mut bench).await,
            "offline" => streams::offline(&mut bench).await,
            "growth" => sizes::growth(&mut bench).await,
            _ => sizes::start(&mut bench).await,
        }
    }
    match given("--markdown") {
        true => say(table::markdown(&bench.rows)),
        false => say(table::text(&bench.rows)),
    }
}

/// Prints a line on standard output.
pub fn say(text: impl std::fmt::Display) {
    println!("{text}");
}
