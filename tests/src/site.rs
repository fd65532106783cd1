//! The files of `examples/site`, as an operator would send them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::multipart::Form;
use crate::tools::repository;

/// One subcloud's files and passwords.
#[derive(Clone, Debug)]
pub struct Site {
    /// Administrator's password, not encoded.
    pub sysadmin_password: String,
    /// The BMC's password, not encoded.
    pub bmc_password: String,
    /// Bootstrap values.
    pub bootstrap: Value,
    /// Install values; without them nothing is installed.
    pub install: Option<Value>,
    /// Deployment manager configuration; without it nothing is configured.
    pub config: Option<Value>,
}

impl Site {
    /// The example, under another name and in a network of its own (`number` from 0 to 255).
    pub fn new(name: &str, number: u8) -> Self {
        let mut bootstrap = example("bootstrap-values.yml");
        let address = |host: &str| Value::from(format!("172.16.{number}.{host}"));
        bootstrap["name"] = name.into();
        bootstrap["management_subnet"] = address("0/24");
        bootstrap["management_start_address"] = address("2");
        bootstrap["management_end_address"] = address("50");
        bootstrap["management_gateway_address"] = address("1");
        Self {
            sysadmin_password: "Li69nux*".to_owned(),
            bmc_password: "bmc-Secret1".to_owned(),
            bootstrap,
            install: Some(example("install-values.yml")),
            config: Some(example("deploy-config.yml")),
        }
    }

    /// The same without an installation.
    #[must_use]
    pub fn without_install(self) -> Self {
        Self { install: None, ..self }
    }

    /// The same without a deployment manager configuration.
    #[must_use]
    pub fn without_config(self) -> Self {
        Self { config: None, ..self }
    }

    /// Tells the install playbook what to do (`dcm_example`, see the README of the example).
    #[must_use]
    pub fn install_does(mut self, what: Value) -> Self {
        self.install.get_or_insert_with(|| json!({}))["dcm_example"] = what;
        self
    }

    /// Tells the bootstrap playbook what to do.
    #[must_use]
    pub fn bootstrap_does(mut self, what: Value) -> Self {
        self.bootstrap["dcm_example"] = what;
        self
    }

    /// Tells the deploy playbook what to do.
    #[must_use]
    pub fn config_does(mut self, what: Value) -> Self {
        self.config.get_or_insert_with(|| json!({}))["dcm_example"] = what;
        self
    }

    /// Name of the subcloud.
    pub fn name(&self) -> &str {
        self.bootstrap["name"].as_str().expect("bootstrap values have a name")
    }

    /// The form of `subcloud add`, exactly as the command line sends it (subclouds.md §11).
    pub fn add_form(&self) -> Form {
        self.passwords(self.address(self.files(Form::new())))
    }

    /// The form of `subcloud deploy create`, which has no administrator's password.
    pub fn create_form(&self) -> Form {
        let form = self.address(self.files(Form::new()));
        if self.install.is_some() { form.field("bmc_password", &encode(&self.bmc_password)) } else { form }
    }

    /// The form of `subcloud deploy install`.
    pub fn install_form(&self) -> Form {
        self.passwords(file(Form::new(), "install_values", self.install.as_ref()))
    }

    /// The form of `subcloud deploy bootstrap`.
    pub fn bootstrap_form(&self) -> Form {
        let form = file(Form::new(), "bootstrap_values", Some(&self.bootstrap));
        self.address(form).field("sysadmin_password", &encode(&self.sysadmin_password))
    }

    /// The form of `subcloud deploy config`.
    pub fn config_form(&self) -> Form {
        file(Form::new(), "deploy_config", self.config.as_ref())
            .field("sysadmin_password", &encode(&self.sysadmin_password))
    }

    /// The form of `subcloud deploy resume` with everything sent again.
    pub fn resume_form(&self) -> Form {
        self.add_form()
    }

    fn files(&self, form: Form) -> Form {
        let form = file(form, "bootstrap_values", Some(&self.bootstrap));
        let form = file(form, "install_values", self.install.as_ref());
        file(form, "deploy_config", self.config.as_ref())
    }

    fn address(&self, form: Form) -> Form {
        form.field("bootstrap-address", "192.168.111.12")
    }

    fn passwords(&self, form: Form) -> Form {
        let form = form.field("sysadmin_password", &encode(&self.sysadmin_password));
        if self.install.is_some() { form.field("bmc_password", &encode(&self.bmc_password)) } else { form }
    }
}

/// A password as it is sent.
pub fn encode(password: &str) -> String {
    STANDARD.encode(password)
}

fn file(form: Form, part: &str, content: Option<&Value>) -> Form {
    let Some(content) = content else { return form };
    let text = serde_yaml_ng::to_string(content).expect("JSON is YAML");
    form.file(part, &format!("site/{}.yml", part.replace('_', "-")), text)
}

fn example(file: &str) -> Value {
    let path = repository().join("examples/site").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
    serde_yaml_ng::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
