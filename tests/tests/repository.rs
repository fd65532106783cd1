//! What the repository's files say: nothing about the machine they were written on, and only contract cases that exist.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::process::Command;

use dcm_tests::repository;
use regex::Regex;

/// Contracts with numbered test cases, and the prefix of the tests that pin them (decisions.md).
const CONTRACTS: [(&str, &str); 4] =
    [("sc", "subclouds.md"), ("fl", "fleet.md"), ("ac", "access.md"), ("jb", "jobs.md")];

/// Path and content of every text file that is tracked or would be.
fn files() -> Vec<(String, String)> {
    let listed = Command::new("git")
        // The folder may belong to another user than the one who runs the tests.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let names = names.split('\0').filter(|name| !name.is_empty());
    // Binary files and files deleted since the last commit have no text to check.
    let texts = names.filter_map(|name| {
        Some((name.to_owned(), String::from_utf8(std::fs::read(repository().join(name)).ok()?).ok()?))
    });
    let texts: Vec<_> = texts.collect();
    assert!(texts.iter().any(|(name, _)| name == "Cargo.toml"), "the repository lists no files");
    texts
}

/// `path:line: text` of every line that `pattern` finds, but in files named in `except`.
fn hits(pattern: &Regex, except: &[&str]) -> Vec<String> {
    let mut hits = Vec::new();
    for (name, text) in files().iter().filter(|(name, _)| !except.contains(&name.as_str())) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| pattern.is_match(line)) {
            hits.push(format!("{name}:{}: {}", number + 1, line.trim()));
        }
    }
    hits
}

#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    let here = regex::escape(&repository().display().to_string());
    // Written in pieces, so that this file does not find itself.
    let homes = ["root", "work", "farm"].join("|");
    let pattern = Regex::new(&format!("(^|[^A-Za-z0-9._*/-])(/({homes})/|{here})")).unwrap();
    let hits = hits(&pattern, &[]);
    assert!(hits.is_empty(), "{hits:#?}");
}

#[test]
fn no_file_names_the_host_of_a_package_registry() {
    let hosts = [
        ["crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["npmjs", "(org|com)"],
        ["deb.debian", "org"],
    ]
    .map(|parts| parts.join(r"\."))
    .join("|");
    // cargo writes the index into the lock file.
    let hits = hits(&Regex::new(&hosts).unwrap(), &["Cargo.lock"]);
    assert!(hits.is_empty(), "{hits:#?}");
}

/// The numbers in the first column of the tables under a heading with `test cases`; `3-7` stands for five of them.
fn case_numbers(contract: &str) -> BTreeSet<u32> {
    let heading = Regex::new(r"(?i)^## .*test cases").unwrap();
    let row = Regex::new(r"^\| *(\d+)(?:-(\d+))? *\|").unwrap();
    let section = contract.lines().skip_while(|line| !heading.is_match(line)).skip(1);
    let section = section.take_while(|line| !line.starts_with("## "));
    section
        .filter_map(|line| row.captures(line))
        .flat_map(|found| {
            let first: u32 = found[1].parse().unwrap();
            let last = found.get(2).map_or(first, |last| last.as_str().parse().unwrap());
            first..=last
        })
        .collect()
}

#[test]
fn every_contract_case_that_a_test_names_exists() {
    let sources: Vec<_> = files().into_iter().filter(|(name, _)| name.ends_with(".rs")).collect();
    let mut unknown = Vec::new();
    for (prefix, contract) in CONTRACTS {
        let text = std::fs::read_to_string(repository().join("docs/contract").join(contract)).unwrap();
        let cases = case_numbers(&text);
        assert!(cases.len() > 50, "{contract}: found only {} cases", cases.len());
        let named = Regex::new(&format!(r"\b{prefix}_(\d+)")).unwrap();
        for (file, source) in &sources {
            for found in named.captures_iter(source) {
                if !found[1].parse().is_ok_and(|number| cases.contains(&number)) {
                    unknown.push(format!("{file}: {} is no case of {contract}", &found[0]));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// The cases that the numbers behind a prefix in a test's name stand for: `4` one, `4_7` and `4_to_7` the range, `4_7_9`
/// these three, `4_to_7_9` the range and one more.
fn named_cases(numbers: &str) -> Vec<u32> {
    let numbers = numbers.replace("_to_", "-");
    let parts: Vec<&str> = numbers.split('_').collect();
    if let [first, last] = parts[..]
        && !numbers.contains('-')
    {
        return range(first, last);
    }
    parts
        .into_iter()
        .flat_map(|part| part.split_once('-').map_or_else(|| range(part, part), |(a, b)| range(a, b)))
        .collect()
}

fn range(first: &str, last: &str) -> Vec<u32> {
    (first.parse().unwrap()..=last.parse().unwrap()).collect()
}

/// The cases that are not tested, with their reasons: rows `| sc 25-28, 30 | reason |` of `docs/contract-exemptions.md`.
fn exempted(prefix: &str) -> BTreeSet<u32> {
    let list = std::fs::read_to_string(repository().join("docs/contract-exemptions.md")).unwrap();
    let row = Regex::new(&format!(r"^\| {prefix} ([0-9, -]+) \| *([^|]*[a-z][^|]*) \|$")).unwrap();
    let cells = list.lines().filter_map(|line| row.captures(line));
    cells
        .flat_map(|found| {
            let cell = found[1].to_owned();
            cell.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>()
        })
        .flat_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((&part, &part));
            first.parse::<u32>().unwrap()..=last.parse().unwrap()
        })
        .collect()
}

#[test]
fn every_case_of_the_contract_is_a_test_or_has_a_reason_not_to_be() {
    let sources: Vec<_> = files().into_iter().filter(|(name, _)| name.ends_with(".rs")).collect();
    let names = Regex::new(r"fn ((?:sc|fl|ac|jb)_\d\w*)").unwrap();
    let (mut missing, mut stale) = (Vec::new(), Vec::new());
    for (prefix, contract) in CONTRACTS {
        let text = std::fs::read_to_string(repository().join("docs/contract").join(contract)).unwrap();
        let numbers = Regex::new(&format!(r"(?:^|_){prefix}_(\d+(?:_(?:to_)?\d+)*)")).unwrap();
        let tested: BTreeSet<u32> = sources
            .iter()
            .flat_map(|(_, source)| names.captures_iter(source))
            .flat_map(|name| {
                numbers.captures_iter(&name[1]).flat_map(|found| named_cases(&found[1])).collect::<Vec<_>>()
            })
            .collect();
        let exempted = exempted(prefix);
        let cases = case_numbers(&text);
        missing.extend(
            cases
                .iter()
                .filter(|case| !tested.contains(case) && !exempted.contains(case))
                .map(|case| format!("{prefix}_{case}")),
        );
        stale.extend(
            exempted
                .iter()
                .filter(|case| tested.contains(case) || !cases.contains(case))
                .map(|case| format!("{prefix}_{case}")),
        );
    }
    assert!(missing.is_empty(), "neither tested nor exempted: {missing:?}");
    assert!(stale.is_empty(), "exempted, but tested or no case at all: {stale:?}");
}

#[test]
fn case_numbers_are_read_from_the_test_case_tables_alone() {
    let contract = "| 1 | not a case |\n## 9. Black-box test cases\n### A\n| # | x |\n|---|---|\n| 2 | x |\n\
                    | 4-6 | y |\n| META | z |\n## 10. Not determined\n| 7 | not a case |\n";
    assert_eq!(case_numbers(contract), BTreeSet::from([2, 4, 5, 6]));
}
