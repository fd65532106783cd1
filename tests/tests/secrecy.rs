//! No secret that was given with a deployment is found anywhere but, encrypted, in the vault: not after playbooks that
//! print their passwords, fail, or lose their worker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dcm_journal::vault;
use dcm_tests::story::after_runs;
use dcm_tests::{
    Form, Found, Http, Installation, Ledger, Needles, Postgres, ProcessWatch, Site, Way, WorkDir, encode,
    eventually, files_below, playbook_processes,
};
use serde_json::json;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);
const SUBCLOUDS: &str = "/v1.0/subclouds/";
/// Called so among the findings: no secret, but what the search must find.
const CONTROL: &str = "control";

/// What must not be found, with a part that nobody else would write by chance.
struct Secrets {
    /// Begins with punctuation, so it is put into quotes (subclouds.md §1.4).
    sysadmin: String,
    /// Begins with a quote.
    second_sysadmin: String,
    /// Stays in base64 wherever it is used.
    bmc: String,
    /// In the bootstrap values.
    admin: String,
    /// Deeper in the bootstrap values.
    registry: String,
    /// In the deploy config.
    config: String,
    /// In a request that is refused.
    refused: String,
    /// No secret: what the search must find, or it finds nothing at all.
    control: String,
}

impl Secrets {
    fn new() -> Self {
        let unique = || Uuid::new_v4().simple().to_string();
        Self {
            sysadmin: format!("!Sy\"s'$ö\\{}&</é", unique()),
            second_sysadmin: format!("\"begun {}", unique()),
            bmc: format!("bmc %s; {} #", unique()),
            admin: format!("adm {{{{ 7*7 }}}} {}'", unique()),
            registry: format!("reg-{}:`id`", unique()),
            config: format!("cfg {} ", unique()),
            refused: format!("never {}", unique()),
            control: format!("seen {}", unique()),
        }
    }

    fn needles(&self) -> Needles {
        Needles::of(&self.named())
    }

    /// With what must be found: a description, and a name in a command line.
    fn needles_and_control(&self) -> Needles {
        let mut all = self.named().to_vec();
        all.extend([(CONTROL, self.control.as_str()), (CONTROL, "\0--limit\0talks\0")]);
        Needles::of(&all)
    }

    fn named(&self) -> [(&str, &str); 7] {
        [
            ("sysadmin_password", &self.sysadmin),
            ("another sysadmin_password", &self.second_sysadmin),
            ("bmc_password", &self.bmc),
            ("admin_password", &self.admin),
            ("registry password", &self.registry),
            ("password of the deploy config", self.config.trim()),
            ("password of a refused request", &self.refused),
        ]
    }

    fn site(&self, name: &str, number: u8) -> Site {
        let mut site = Site::new(name, number);
        site.sysadmin_password.clone_from(&self.sysadmin);
        site.bmc_password.clone_from(&self.bmc);
        site.bootstrap["description"] = self.control.clone().into();
        site.bootstrap["admin_password"] = self.admin.clone().into();
        site.bootstrap["docker_registries"] =
            json!({"quay.io": {"url": "registry.example", "username": "docker", "password": self.registry}});
        site.config.as_mut().unwrap()["ldap"] = json!({"bind": {"password": self.config}});
        site
    }
}

/// Playbooks that print everything they are given, then do what they are told.
fn talkative_playbooks() -> WorkDir {
    let dir = WorkDir::new("playbooks");
    let head = "- hosts: all\n  gather_facts: false\n  connection: local\n  vars:\n    \
                ansible_python_interpreter: \"{{ ansible_playbook_python }}\"\n    \
                example: \"{{ dcm_example | default({}, true) }}\"\n  tasks:\n";
    let install = "    - ansible.builtin.debug: {msg: \"{{ ansible_ssh_pass }} {{ ansible_ssh_pass | b64encode }}\"}\n    \
                   - ansible.builtin.command: cat {{ inventory_dir }}/{{ inventory_hostname }}/rvmc-config.yaml\n      register: shown\n    \
                   - ansible.builtin.debug: {var: shown}\n    \
                   - ansible.builtin.debug: {msg: \"{{ (shown.stdout | from_yaml).bmc_password | b64decode }}\"}\n";
    let bootstrap = "    - ansible.builtin.include_vars: {file: \"{{ override_files_dir }}/{{ inventory_hostname }}.yml\", name: given}\n    \
                     - ansible.builtin.set_fact: {example: \"{{ given.dcm_example | default({}, true) }}\"}\n    \
                     - ansible.builtin.debug: {var: given}\n    \
                     - ansible.builtin.debug: {msg: \"{{ given | to_json }}\"}\n    \
                     - ansible.builtin.debug: {msg: \"{{ given | to_nice_yaml }}\"}\n    \
                     - ansible.builtin.debug: {msg: \"{{ given.admin_password | urlencode }} {{ given.docker_registries['quay.io'].password | quote }} {{ given | to_json | b64encode }}\"}\n    \
                     - ansible.builtin.command:\n        argv: [cat, \"{{ override_files_dir }}/{{ inventory_hostname }}.yml\"]\n      register: shown\n    \
                     - ansible.builtin.debug: {var: shown.stdout_lines}\n";
    let end = "    - ansible.builtin.command: sleep {{ example.hang }}\n      when: example.hang is defined\n    \
               - ansible.builtin.fail: {msg: \"it was {{ (given | default({})).admin_password | default(ansible_ssh_pass | default('')) }}\"}\n      \
               when: example.fail | default(false)\n";
    for (file, tasks) in [("install.yml", install), ("bootstrap.yml", bootstrap)] {
        std::fs::write(dir.path().join(file), format!("{head}{tasks}{end}")).unwrap();
    }
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_vault_holds_a_secret_in_one_process() {
    nothing_but_the_vault_holds_a_secret(Way::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_vault_holds_a_secret_between_processes() {
    nothing_but_the_vault_holds_a_secret(Way::Split).await;
}

async fn nothing_but_the_vault_holds_a_secret(way: Way) {
    let secrets = Secrets::new();
    let needles = secrets.needles();
    let (home, playbooks) = (WorkDir::new("home"), talkative_playbooks());
    let postgres = match way {
        Way::Split => Some(Postgres::start().await),
        Way::Embedded => None,
    };
    let mut service = Installation::start(way, postgres.as_ref(), |serve| {
        serve
            .flag(
                "--log-filter",
                "debug,dcm=trace,dcm_api=trace,dcm_journal=trace,dcm_workers=trace,sqlx=trace",
            )
            .flag("--set", format!("dirs.playbooks={}", playbooks.path().display()))
            .flag("--set", "deploy.lease_secs=5")
            .env("HOME", home.path())
    })
    .await;
    if let Some(split) = &service.split {
        for url in [split.journal(), split.read_model(), split.vault()] {
            Postgres::keep_plain(&url).await;
        }
    }
    let watch = ProcessWatch::start(service.dir());
    let mut outputs = String::new();

    // Every phase, printing; then a phase that fails with the password in its message.
    let http = service.http();
    let talks = secrets.site("talks", 1).config_does(json!({"print_password": true}));
    add(&http, &talks, &needles).await;
    let mut fails = secrets.site("fails", 2).bootstrap_does(json!({"fail": true}));
    fails.sysadmin_password.clone_from(&secrets.second_sysadmin);
    add(&http, &fails, &needles).await;
    is(&http, "talks", 1, "complete", &service).await;
    is(&http, "fails", 1, "bootstrap-failed", &service).await;
    everything_was_printed(&service);

    // A worker that dies while its playbook has the passwords.
    let dies = secrets.site("dies", 3).bootstrap_does(json!({"hang": 3600}));
    add(&http, &dies, &needles).await;
    the_private_directory_is_private(&service).await;
    outputs += &service.worker.logs();
    service.worker.kill();
    service.worker.restart().await;
    let http = service.http();
    is(&http, "dies", 1, "bootstrap-failed", &service).await;

    // Requests that are refused, rehome data, a second attempt, a deletion.
    refused(&http, &secrets, &needles).await;
    rehome_data(&http, &secrets, &needles).await;
    let mut mended = secrets.site("fails", 2).config_does(json!({"print_password": true, "fail": true}));
    mended.sysadmin_password.clone_from(&secrets.second_sysadmin);
    let resume = "/v1.0/phased-subcloud-deploy/fails/resume";
    let _ = http.patch_form(resume, &mended.resume_form()).await.expect(200);
    is(&http, "fails", 2, "config-failed", &service).await;
    let owner = uuid_of(&service, "fails").await;
    reads_show_nothing(&http, &needles).await;
    let _ = http.delete("/v1.0/subclouds/talks").send().await.expect(200);
    eventually("no private directory is left", SOON, async || {
        let left = runs(&service);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    assert_eq!(playbook_processes(service.dir()), []);

    the_vault_holds_them(&service, &secrets, owner).await;
    let needles = secrets.needles_and_control();
    let mut found = needles.search_tree(service.dir());
    service.terminate().await;
    found.extend(needles.search_tree(service.dir()));
    found.extend(needles.search_tree(home.path()));
    found.extend(needles.search("output of the processes", (outputs + &service.logs()).as_bytes()));
    for seen in watch.finish() {
        found.extend(needles.search("command line or environment", &seen));
    }
    let mut holders = vec!["command line or environment"];
    if let (Some(mut postgres), Some(split)) = (postgres, service.split.as_mut()) {
        holders.extend([
            "dump of the journal",
            "dump of the read model",
            "/data/base/",
            "/pg_wal/",
            "/storage/",
        ]);
        found.extend(needles.search("dump of the journal", &dump(&split.journal())));
        found.extend(needles.search("dump of the read model", &dump(&split.read_model())));
        found.extend(needles.search("dump of the vault", &dump(&split.vault())));
        found.extend(needles.search_tree(postgres.dir()));
        postgres.stop().await;
        found.extend(needles.search_tree(postgres.dir()));
        split.stores.nats.stop().await;
        found.extend(needles.search_tree(split.stores.nats.dir()));
    } else {
        holders.extend(["/journal.db", "/read-models.db"]);
    }
    let (control, found): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|one| one.secret == CONTROL);
    for holder in holders {
        assert!(
            control.iter().any(|one| one.place.contains(holder)),
            "the search finds nothing at all in {holder}"
        );
    }
    assert_eq!(summary(&found), Vec::<String>::new());
}

/// The first places of each secret and spelling; all of them would be too many to read.
fn summary(found: &[Found]) -> Vec<String> {
    let mut seen = std::collections::BTreeMap::new();
    for one in found {
        let place = one.place.split(" at ").next().unwrap_or_default().to_owned();
        seen.entry((one.secret.clone(), one.form, place)).or_insert_with(|| format!("{one:?}"));
    }
    seen.into_values().take(40).collect()
}

async fn add(http: &Http, site: &Site, needles: &Needles) {
    let answer = http.post_form(SUBCLOUDS, &site.add_form()).await.expect(200);
    assert_eq!(needles.search("answer to the request", answer.body.as_bytes()), []);
}

async fn is(http: &Http, subcloud: &str, runs: usize, status: &str, service: &Installation) {
    let row = after_runs(http, subcloud, runs).await;
    assert_eq!(row["deploy-status"], status, "{row}\n{}", service.playbook_log(subcloud));
}

/// The playbooks did print their secrets: what was redacted stands in the logs.
fn everything_was_printed(service: &Installation) {
    let log = service.playbook_log("talks");
    assert!(log.matches("***").count() >= 8, "hardly anything was redacted: {log}");
    let log = service.playbook_log("fails");
    assert!(log.contains("it was ***"), "{log}");
}

fn runs(service: &Installation) -> Vec<std::path::PathBuf> {
    let runs = service.worker.data_dir().join("runs");
    std::fs::read_dir(runs).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// While a playbook runs its directory holds secrets, for nobody but its owner.
async fn the_private_directory_is_private(service: &Installation) {
    eventually("the playbook hangs", SOON, async || {
        let all = playbook_processes(service.dir());
        if all.iter().any(|process| process.command.starts_with("sleep ")) { Ok(()) } else { Err(all) }
    })
    .await;
    let mode = |path: &Path| std::fs::metadata(path).map(|meta| meta.permissions().mode() & 0o777);
    let runs = runs(service);
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(mode(&runs[0]).unwrap(), 0o700);
    let written: Vec<_> = files_below(&runs[0])
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "yml" || e == "yaml"))
        .collect();
    assert!(written.iter().any(|file| file.ends_with("dies.yml")), "{written:?}");
    for file in written {
        assert_eq!(mode(&file).unwrap(), 0o600, "{}", file.display());
    }
}

/// Refused requests repeat nothing and leave nothing.
async fn refused(http: &Http, secrets: &Secrets, needles: &Needles) {
    let mut site = secrets.site("refused", 9);
    site.sysadmin_password.clone_from(&secrets.refused);
    site.bootstrap["admin_password"] = secrets.refused.clone().into();
    site.bootstrap["management_start_address"] = "172.16.8.2".into();
    let torn = format!("name: refused\nadmin_password: '{}\n  - [", secrets.refused);
    let not_base64 = site.create_form().field("sysadmin_password", &secrets.refused.repeat(3));
    let forms = [
        site.add_form(),
        Form::new()
            .file("bootstrap_values", "b.yml", torn)
            .field("sysadmin_password", &encode(&secrets.refused)),
        not_base64,
    ];
    for form in forms {
        for accept in [None, Some("application/json"), Some("*/*")] {
            let request = http.post(SUBCLOUDS).form(&form);
            let request =
                accept.into_iter().fold(request, |request, accept| request.header("accept", accept));
            let answer = request.send().await.expect(400);
            assert_eq!(needles.search("refusal", answer.body.as_bytes()), [], "{}", answer.body);
        }
    }
}

/// E6 with bootstrap values: kept for another controller, shown without passwords.
async fn rehome_data(http: &Http, secrets: &Secrets, needles: &Needles) {
    let values = serde_yaml_ng::to_string(&secrets.site("fails", 2).bootstrap).unwrap();
    let form = Form::new()
        .file("bootstrap_values", "bootstrap.yml", values)
        .field("bootstrap_address", "192.168.111.12");
    let answer = http.patch_form("/v1.0/subclouds/fails", &form).await.expect(200);
    assert!(answer.json()["rehome_data"].as_str().unwrap().contains("***"), "{}", answer.body);
    assert_eq!(needles.search("answer to the update", answer.body.as_bytes()), []);
}

async fn reads_show_nothing(http: &Http, needles: &Needles) {
    for path in [
        "/v1.0/subclouds",
        "/v1.0/subclouds/talks",
        "/v1.0/subclouds/fails/detail",
        "/v1.0/subclouds/fails/history?limit=1000",
        "/v1.0/subclouds/dies/history?limit=1000",
        "/metrics",
    ] {
        let answer = http.get(path).send().await.expect(200);
        assert_eq!(needles.search(path, answer.body.as_bytes()), []);
    }
}

async fn uuid_of(service: &Installation, name: &str) -> Uuid {
    let folded = Ledger::read(&service.journal()).await.fold();
    let (uuid, _) = folded.into_iter().find(|(_, folded)| folded.subcloud.name.as_ref() == name).unwrap();
    uuid
}

/// The vault has what a later run needs, and no password of a run that has ended.
async fn the_vault_holds_them(service: &Installation, secrets: &Secrets, owner: Uuid) {
    let vault = match &service.split {
        Some(split) => vault::open(&split.vault(), split.dir(), Some(&split.key_file())).await,
        None => vault::open("embedded:", &service.worker.data_dir(), None).await,
    };
    let vault = vault.expect("open the vault");
    let mut kept = String::new();
    eventually("the passwords of the runs are gone from the vault", SOON, async || {
        kept.clear();
        let entries = vault.list(owner).await.unwrap();
        for entry in &entries {
            kept.push_str(vault.get(&entry.entry, owner).await.unwrap().expose());
        }
        match entries.iter().any(|entry| entry.purpose == "sysadmin_password") {
            true => Err(entries),
            false => Ok(()),
        }
    })
    .await;
    let inside = |text: &str| serde_json::Value::from(text).to_string().trim_matches('"').to_owned();
    for text in [inside(&encode(&secrets.bmc)), inside(&secrets.admin), inside(&secrets.registry)] {
        assert!(kept.contains(&text), "the vault lacks a document");
    }
    assert!(kept.contains(secrets.config.trim()), "the vault lacks the deploy config");
}

/// Everything a database shows.
fn dump(url: &str) -> Vec<u8> {
    let mut programs = files_below(Path::new("/usr/lib/postgresql")).into_iter();
    let program = programs.rfind(|file| file.ends_with("bin/pg_dump")).expect("pg_dump is installed");
    let done = Command::new(program).args(["--inserts", url]).output().expect("run pg_dump");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}
