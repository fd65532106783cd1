//! The policy of a running program: loaded when it starts, and again whenever its files change (access.md §7).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use super::check::{Answers, Credentials, Stop};
use super::remote::{Remote, RemoteError};
use super::rules::Rules;
use super::sources::{Source, SourceError, Sources, Stamp, is_settled, read};

/// How long a request waits to learn whether a file changed; past it, the rules at hand decide.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many remote checks one decision may ask.
const MAX_REMOTE: usize = 8;
/// How often files that go away while they are read are looked for again.
const TRIES: usize = 3;

/// The policy. Every decision looks first whether the files changed, unless somebody did a moment ago (see
/// [`looking_every`](Self::looking_every)), so that an edit holds a moment later at most.
pub struct Policy {
    sources: Sources,
    /// How long a look is good for.
    looks_every: Duration,
    rules: RwLock<Arc<Rules>>,
    seen: Mutex<Seen>,
    problem: Mutex<Option<SourceError>>,
    looks: Looks,
    remote: Remote,
}

/// What was found in the files the last time.
#[derive(Default)]
struct Seen {
    stamps: Vec<Stamp>,
    /// Whether a further change would show in the stamps.
    is_settled: bool,
    /// What was in them, unless they could not be read.
    sources: Option<Vec<Source>>,
}

/// Looks at the files, one after the other; a look answers all who came before it began.
#[derive(Default)]
struct Looks {
    turn: tokio::sync::Mutex<()>,
    begun: AtomicU64,
    ended: AtomicU64,
    /// When the last one began that has ended.
    looked_at: Mutex<Option<Instant>>,
    /// Whether the last one that was waited for took too long.
    late: AtomicBool,
}

impl Policy {
    /// The built-in rules, whatever any file says.
    pub fn built_in() -> Self {
        Self::new(Sources::default(), Rules::built_in(), Seen::default())
    }

    /// The built-in rules and what the files of `sources` say instead. Reads files.
    ///
    /// # Errors
    /// [`SourceError`] if a file is there and cannot be used.
    pub fn open(sources: Sources) -> Result<Self, SourceError> {
        let mut seen = Seen::default();
        // Files that went away meanwhile are not there.
        let rules = seen.look_again(&sources)?.unwrap_or_else(Rules::built_in);
        report(&rules);
        Ok(Self::new(sources, rules, seen))
    }

    /// Looks at the files again only when the last look is `moment` old: under load a look costs more than a decision.
    #[must_use]
    pub fn looking_every(self, moment: Duration) -> Self {
        Self { looks_every: moment, ..self }
    }

    fn new(sources: Sources, rules: Rules, seen: Seen) -> Self {
        Self {
            sources,
            looks_every: Duration::ZERO,
            rules: RwLock::new(Arc::new(rules)),
            seen: Mutex::new(seen),
            problem: Mutex::default(),
            looks: Looks::default(),
            remote: Remote::default(),
        }
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why the files as they are now cannot be used, if that is so: the rules that were in force before stay so.
    pub fn problem(&self) -> Option<SourceError> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether `rule` is allowed to a caller with `credentials`, by the files as they were at the last look.
    ///
    /// What cannot be decided is denied.
    ///
    /// # Errors
    /// [`RemoteError`] if a remote check gives no answer.
    pub async fn decide(
        self: &Arc<Self>,
        rule: &str,
        credentials: Credentials<'_>,
    ) -> Result<bool, RemoteError> {
        self.refresh().await;
        let rules = self.rules();
        let mut answers = Answers::new();
        loop {
            match rules.set().decide(rule, credentials, &answers) {
                Ok(allowed) => return Ok(allowed),
                Err(Stop::Ask(url)) if answers.len() < MAX_REMOTE => {
                    // In a box, as the look at the files: few decisions need either, and all would carry the room.
                    let allowed = Box::pin(self.remote.ask(&url, rule, credentials)).await?;
                    answers.insert(url, allowed);
                }
                Err(Stop::Ask(_)) => {
                    tracing::warn!(rule, "denied: it asks more than {MAX_REMOTE} remote checks");
                    return Ok(false);
                }
                Err(Stop::Fault(fault)) => {
                    tracing::warn!(rule, %fault, "denied: the policy cannot decide");
                    return Ok(false);
                }
            }
        }
    }

    /// Brings the rules up to date with their files. What is wrong with the files is logged when it is news.
    pub async fn refresh(self: &Arc<Self>) {
        if self.sources.is_empty() || self.looks.is_fresh(self.looks_every) {
            return;
        }
        let waited = tokio::time::timeout(PATIENCE, Box::pin(self.look_in_turn())).await;
        let was_late = self.looks.late.swap(waited.is_err(), Ordering::Relaxed);
        if waited.is_err() && !was_late {
            tracing::warn!("the policy files cannot be looked at in time; the rules at hand decide");
        }
    }

    async fn look_in_turn(self: &Arc<Self>) {
        let begun = self.looks.begun.load(Ordering::SeqCst);
        let _turn = self.looks.turn.lock().await;
        if self.looks.ended.load(Ordering::SeqCst) > begun {
            return;
        }
        let number = self.looks.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let policy = Arc::clone(self);
        // Files may lie on something slow.
        let looked = tokio::task::spawn_blocking(move || {
            let now = Instant::now();
            policy.look();
            policy.looks.looked(now);
            policy.looks.ended.fetch_max(number, Ordering::SeqCst);
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "the policy files were not looked at");
        }
    }

    fn look(&self) {
        let mut seen = match self.seen.try_lock() {
            Ok(seen) => seen,
            Err(TryLockError::Poisoned(seen)) => seen.into_inner(),
            // An earlier look hangs on its files: waiting for it would use up a thread per request.
            Err(TryLockError::WouldBlock) => return,
        };
        let looked = seen.look_again(&self.sources);
        drop(seen);
        match looked {
            Ok(None) => {}
            Ok(Some(rules)) => {
                report(&rules);
                *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
                self.set_problem(None);
            }
            Err(problem) => self.set_problem(Some(problem)),
        }
    }

    fn set_problem(&self, problem: Option<SourceError>) {
        let mut held = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = problem.as_ref().filter(|problem| held.as_ref() != Some(problem)) {
            tracing::error!(%problem, "the policy cannot be used; the rules from before stay in force");
        }
        *held = problem;
    }
}

impl Looks {
    fn looked(&self, at: Instant) {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    fn is_fresh(&self, moment: Duration) -> bool {
        let at = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        at.is_some_and(|at| at.elapsed() < moment)
    }
}

impl Seen {
    /// The rules that the files hold now, if they are others than the last time.
    ///
    /// # Errors
    /// [`SourceError`] if they cannot be used; as long as they stay as they are, that is not said again.
    fn look_again(&mut self, sources: &Sources) -> Result<Option<Rules>, SourceError> {
        match self.read_again(sources) {
            Ok(true) => self.sources.as_deref().map(Rules::load).transpose(),
            Ok(false) => Ok(None),
            Err(problem) => {
                *self = Self::default();
                Err(problem)
            }
        }
    }

    /// Reads the files if they may have changed; whether they have.
    fn read_again(&mut self, sources: &Sources) -> Result<bool, SourceError> {
        for _ in 0..TRIES {
            let stamps = sources.stamps()?;
            if self.is_settled && stamps == self.stamps {
                return Ok(false);
            }
            // Before they are read: what changes afterwards shows in the next stamps.
            let is_settled = is_settled(&stamps, SystemTime::now());
            let Some(found) = read(&stamps)? else { continue };
            (self.stamps, self.is_settled) = (stamps, is_settled);
            let is_news = self.sources.as_ref() != Some(&found);
            self.sources = Some(found);
            return Ok(is_news);
        }
        Ok(false)
    }
}

/// Says which rules are in force from now on, and what is wrong with them.
fn report(rules: &Rules) {
    let files: Vec<_> = rules.files().iter().map(|file| file.display().to_string()).collect();
    match files.is_empty() {
        true => tracing::info!("policy: the built-in rules"),
        false => tracing::info!(?files, "policy: the built-in rules with those of files in their place"),
    }
    for (name, entry) in rules.entries() {
        for remark in &entry.remarks {
            tracing::warn!(rule = %name, "policy: {remark}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use std::path::{Path, PathBuf};

    use super::*;

    const RULE: &str = "dc_api:alarm_manager:get";

    struct Site {
        dir: tempfile::TempDir,
        policy: Arc<Policy>,
    }

    fn sources(dir: &Path) -> Sources {
        Sources { files: vec![dir.join("policy.yaml")], dirs: vec![PathBuf::from("policy.d")] }
    }

    impl Site {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let policy = Arc::new(Policy::open(sources(dir.path())).unwrap());
            Self { dir, policy }
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        async fn allows(&self, role: &str) -> bool {
            let roles = [role.to_owned()];
            let credentials = Credentials { project_name: Some("admin"), roles: &roles };
            self.policy.decide(RULE, credentials).await.unwrap()
        }
    }

    #[tokio::test]
    async fn ac_65_67_69_edits_hold_from_the_next_request_on() {
        let site = Site::new();
        assert!(site.allows("reader").await && !site.allows("member").await);
        for _ in 0..20 {
            // The same length, and perhaps the same time.
            site.write("policy.yaml", &format!("{RULE}: role:member\n"));
            assert!(site.allows("member").await && !site.allows("reader").await);
            site.write("policy.yaml", &format!("{RULE}: role:reader\n"));
            assert!(site.allows("reader").await && !site.allows("member").await);
        }
        site.write("policy.d/10", &format!("{RULE}: '!'"));
        assert!(!site.allows("reader").await);
        site.write("policy.d/20", &format!("{{\"{RULE}\": \"@\"}}"));
        assert!(site.allows("nobody").await);
        std::fs::remove_dir_all(site.dir.path().join("policy.d")).unwrap();
        assert!(site.allows("reader").await && !site.allows("nobody").await);
        std::fs::remove_file(site.dir.path().join("policy.yaml")).unwrap();
        assert!(site.allows("reader").await && !site.allows("member").await);
        assert_eq!(site.policy.problem(), None);
    }

    #[tokio::test]
    async fn ac_66_a_broken_edit_keeps_the_rules_from_before() {
        let site = Site::new();
        site.write("policy.yaml", &format!("{RULE}: role:member"));
        assert!(site.allows("member").await);
        for broken in ["a: [", "- a list", "a: true", "a: 7", "\u{0}"] {
            site.write("policy.yaml", broken);
            assert!(site.allows("member").await && !site.allows("reader").await, "{broken}");
            assert!(site.policy.problem().is_some(), "{broken}");
        }
        // One broken file keeps the others from being used too: they belong together.
        site.write("policy.d/10", &format!("{RULE}: '@'"));
        assert!(!site.allows("reader").await);
        site.write("policy.yaml", "");
        assert!(site.allows("reader").await);
        assert_eq!(site.policy.problem(), None);
        site.write("policy.d/10", "a: [");
        assert!(site.allows("nobody").await && site.policy.problem().is_some());
        site.write("policy.d/10", &format!("{RULE}: '@'"));
        assert!(site.allows("nobody").await && site.policy.problem().is_none());
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_for_a_while_is_used_again_unchanged() {
        let site = Site::new();
        site.write("policy.yaml", &format!("{RULE}: role:member"));
        assert!(site.allows("member").await);
        let file = site.dir.path().join("policy.yaml");
        let text = std::fs::read(&file).unwrap();
        std::fs::write(&file, [0xff]).unwrap();
        assert!(site.allows("member").await && site.policy.problem().is_some());
        std::fs::write(&file, text).unwrap();
        assert!(site.allows("member").await && site.policy.problem().is_none());
    }

    #[test]
    fn a_broken_policy_cannot_be_started_with() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("policy.yaml"), "a: [").unwrap();
        let said = match Policy::open(sources(dir.path())) {
            Ok(_) => panic!("it was taken"),
            Err(error) => error.to_string(),
        };
        assert!(said.contains("policy.yaml") && said.contains("line"), "{said}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_at_once_see_every_edit() {
        let site = Arc::new(Site::new());
        for round in 0..30 {
            let (role, other) = if round % 2 == 0 { ("member", "reader") } else { ("reader", "member") };
            site.write("policy.yaml", &format!("{RULE}: role:{role}\n"));
            let asking = (0..32).map(|_| {
                let site = Arc::clone(&site);
                tokio::spawn(async move { (site.allows(role).await, site.allows(other).await) })
            });
            for asked in asking.collect::<Vec<_>>() {
                assert_eq!(asked.await.unwrap(), (true, false));
            }
        }
    }
}
