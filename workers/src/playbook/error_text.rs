//! The text a failed playbook leaves in `error-description` (jobs.md §0.4 "Error text"), read from the end of its
//! redacted output.

use std::path::Path;

/// Longest error description, in characters (jobs.md §0.2).
pub const LONGEST: usize = 2048;

/// Longer blocks are reduced to at most this many distinct lines that look like a cause.
const MOST_LINES: usize = 10;
const CAUSES: [&str; 5] = ["msg:", "fail", "error", "cmd", "stderr"];
const RUN_HEADER: &str = " Executing playbook command";

/// What failed, for all texts of this module.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'a> {
    /// The running status, such as `installing` (jobs.md §0.4).
    pub stage: &'a str,
    /// Name of the subcloud.
    pub subcloud: &'a str,
}

impl Failed<'_> {
    /// The text for a playbook that failed, from the end of its output or of its log; of a log only the last run
    /// counts. The task is the last one begun before the failure: `always` sections may run others after it. If the
    /// output shows no failure, the text points to `log`.
    pub fn playbook(&self, output: &str, log: &Path) -> String {
        let lines: Vec<&str> = last_run(output);
        let Some(fatal) = lines.iter().rposition(|line| line.starts_with("fatal: [")) else {
            return self
                .with(&format!(" check individual log at {} for detailed output.", log.display()), "");
        };
        let (before, from_failure) = lines.split_at(fatal);
        let block: Vec<&str> = from_failure
            .iter()
            .take_while(|line| !line.starts_with("PLAY RECAP"))
            .map(|line| line.trim_end())
            .filter(|line| !line.is_empty())
            .collect();
        let detail = if block.len() > MOST_LINES { causes(&block) } else { block };
        let task = before
            .iter()
            .rfind(|line| line.starts_with("TASK ["))
            .map_or(String::new(), |line| format!("\n FAILED TASK: {}", line.trim_end_matches(['*', ' '])));
        self.with(&format!(" detail: {}", detail.join("\n")), &task)
    }

    /// The text for a playbook that could not be started because there is no such program.
    pub fn program_missing(&self, program: &Path) -> String {
        self.with(&format!(" detail: program not found: {}", program.display()), "")
    }

    /// The text for a playbook that was ended at its deadline of `seconds`.
    pub fn timed_out(&self, seconds: u64) -> String {
        self.with(&format!(" detail: TIMEOUT: not finished after {seconds} s"), "")
    }

    /// Header, detail and task in at most [`LONGEST`] characters. The detail gives way: it can be looked up in the
    /// log, given the task.
    fn with(&self, detail: &str, task: &str) -> String {
        let header = format!("FAILED {} playbook of ({}).\n", self.stage, self.subcloud);
        let room = LONGEST.saturating_sub(header.chars().count() + task.chars().count());
        let detail: String = detail.chars().take(room).collect();
        format!("{header}{detail}{task}").chars().take(LONGEST).collect()
    }
}

fn last_run(output: &str) -> Vec<&str> {
    let lines: Vec<&str> = output.lines().collect();
    let from = lines.iter().rposition(|line| is_header(line)).map_or(0, |header| header + 1);
    lines.get(from..).unwrap_or_default().to_vec()
}

/// A header begins with the time, so that a playbook that prints its words is not taken for one.
fn is_header(line: &str) -> bool {
    line.split_once(RUN_HEADER).is_some_and(|(time, _)| {
        !time.is_empty()
            && time.chars().all(|character| character.is_ascii_digit() || matches!(character, '-' | ':'))
    })
}

fn causes<'a>(block: &[&'a str]) -> Vec<&'a str> {
    let mut kept: Vec<&str> = Vec::new();
    for line in block {
        let lower = line.to_lowercase();
        if kept.len() < MOST_LINES && !kept.contains(line) && CAUSES.iter().any(|cause| lower.contains(cause))
        {
            kept.push(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Failed, LONGEST};

    const LOG: &str = "/var/log/dcmanager/ansible/subcloud1_playbook_output.log";

    fn text(output: &str) -> String {
        Failed { stage: "bootstrapping", subcloud: "subcloud1" }.playbook(output, Path::new(LOG))
    }

    #[test]
    fn names_the_failure_and_its_task() {
        assert_eq!(
            text(include_str!("samples/fail.txt")),
            "FAILED bootstrapping playbook of (subcloud1).\n \
             detail: fatal: [subcloud1]: FAILED! => {\"changed\": false, \
             \"msg\": \"err_code=bmc_cred the BMC refused the credentials\"}\n \
             FAILED TASK: TASK [Check the address]"
        );
    }

    #[test]
    fn a_rescued_failure_and_an_always_section_do_not_mislead() {
        let text = text(include_str!("samples/rescue_always.txt"));
        assert!(
            text.contains(
                r#"detail: fatal: [subcloud1]: FAILED! => {"changed": false, "msg": "line1\nline2\n"#
            )
        );
        assert!(text.ends_with("\n FAILED TASK: TASK [Real failure]"), "{text}");
        assert!(!text.contains("inner"));
    }

    #[test]
    fn a_failed_command_and_an_unreachable_host_are_failures() {
        let command = text(include_str!("samples/command.txt"));
        assert!(command.contains("\"msg\": \"non-zero return code\", \"rc\": 3"), "{command}");
        assert!(command.ends_with("FAILED TASK: TASK [Run what fails]"));
        let unreachable = text(include_str!("samples/unreachable.txt"));
        assert!(unreachable.contains("fatal: [subcloud1]: UNREACHABLE! =>"), "{unreachable}");
        assert!(unreachable.ends_with("FAILED TASK: TASK [Reach it]"));
    }

    #[test]
    fn of_a_long_block_distinct_lines_that_look_like_a_cause_stay() {
        let text = text(include_str!("samples/yaml_format.txt"));
        let detail: Vec<&str> = text.lines().skip(1).collect();
        assert!(detail.len() <= 11, "{text}");
        for cause in [
            "detail: fatal: [subcloud1]: FAILED! =>",
            "    cmd:",
            "    msg: non-zero return code",
            "    stderr: |-",
        ] {
            assert!(
                detail.iter().any(|line| line.trim_start().starts_with(cause.trim_start())),
                "{cause}: {text}"
            );
        }
        assert!(!text.contains("    delta:"));
        assert!(text.ends_with("FAILED TASK: TASK [Run what fails at length]"));
    }

    #[test]
    fn without_a_failure_in_the_output_it_points_to_the_log() {
        for output in ["", "[ERROR]: the playbook: missing.yml could not be found\n"] {
            assert_eq!(
                text(output),
                format!(
                    "FAILED bootstrapping playbook of (subcloud1).\n check individual log at {LOG} for detailed output."
                )
            );
        }
    }

    #[test]
    fn of_a_log_only_the_last_run_counts() {
        let header = "2026-11-22-13:05:09 Executing playbook command (timeout: 3600s): ansible-playbook x\n";
        let failed = include_str!("samples/fail.txt");
        assert!(text(&format!("{header}{failed}{header}PLAY [all] ***\n")).contains("check individual log"));
        assert!(text(&format!("{header}{header}{failed}")).contains("bmc_cred"));
        assert!(text(&format!("{failed}\nsays: Executing playbook command\n")).contains("bmc_cred"));
    }

    #[test]
    fn it_is_never_longer_than_the_field_and_keeps_the_task() {
        let long = format!("TASK [ü] ***\nfatal: [a]: FAILED! => {}\n", "é".repeat(5000));
        let text = text(&long);
        assert_eq!(text.chars().count(), LONGEST);
        assert!(text.ends_with("é\n FAILED TASK: TASK [ü]"));
    }

    #[test]
    fn what_never_ran_is_said_plainly() {
        let failed = Failed { stage: "installing", subcloud: "subcloud1" };
        assert_eq!(
            failed.program_missing(Path::new("ansible-playbook")),
            "FAILED installing playbook of (subcloud1).\n detail: program not found: ansible-playbook"
        );
        assert_eq!(
            failed.timed_out(3600),
            "FAILED installing playbook of (subcloud1).\n detail: TIMEOUT: not finished after 3600 s"
        );
    }
}
