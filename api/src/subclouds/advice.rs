//! What to do about an error, appended to `error-description` where subclouds are read (subclouds.md §2.3).

use dcm_domain::value::DeployStatus;

const BOOTSTRAP_FAILED: &str = "For bootstrap failures, remove the cause shown above, then delete the subcloud and \
    add it again.";
const CONFIG_FAILED: &str = "For configuration failures, remove the cause shown above, then run 'dcmanager subcloud \
    deploy config' for the subcloud again.";
const BMC_CREDENTIALS: &str = "Check BMC credentials: the user name and password in the install values must pass \
    basic authentication at the BMC; try them with 'curl -k -u USER:PASSWORD https://BMC-ADDRESS/redfish/v1/Systems'.";
const BMC_REACHABLE: &str =
    "Check reachability to the BMC: it must answer 'ping BMC-ADDRESS' from the controller.";
const DM_POD: &str = "- Check that the deployment manager's archive is the one its image needs.\n\
    - Check that the helm overrides are right and that the images they name can be reached.\n\
    - Check that the right certificate was installed.\n\
    - Check that 'docker login' to the local registry succeeds.";
const DM_APPLY: &str = "Check the deployment configuration file for mistakes of syntax and of meaning.";
const IMAGES: &str = "Check the docker registry and proxy settings in the bootstrap values, and log in to the \
    registry by hand.";
const CERTIFICATE: &str = "Check that the right certificate was installed.";

/// The stored text, then advice on the error code in it, then advice on the deploy status; one below the other.
pub(super) fn with_advice(stored: &str, deploy: DeployStatus) -> String {
    let on_code = error_code(stored).and_then(advice);
    let on_status = match deploy {
        DeployStatus::ConfigFailed => Some(CONFIG_FAILED),
        DeployStatus::BootstrapFailed => Some(BOOTSTRAP_FAILED),
        _ => None,
    };
    [Some(stored), on_code, on_status].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "bootstrap-failed" => BOOTSTRAP_FAILED,
        "config-failed" => CONFIG_FAILED,
        "bmc_cred" => BMC_CREDENTIALS,
        "ping_bmc" => BMC_REACHABLE,
        "dm_pod_failed" => DM_POD,
        "dm_apply_failed" => DM_APPLY,
        "images_download_failure" => IMAGES,
        "failed_ssl_cert" => CERTIFICATE,
        _ => return None,
    })
}

/// The first `err_code = <token>` of a text, in any case and with or without blanks.
fn error_code(text: &str) -> Option<&str> {
    const KEY: &str = "err_code";
    text.char_indices().find_map(|(at, _)| {
        let key = text.get(at..at + KEY.len())?;
        let rest = key.eq_ignore_ascii_case(KEY).then(|| text.get(at + KEY.len()..))??;
        rest.trim_start().strip_prefix('=')?.split_whitespace().next()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sc_037_code_and_status_each_bring_a_line() {
        let text = with_advice("x err_code = bmc_cred y", DeployStatus::BootstrapFailed);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0], "x err_code = bmc_cred y");
        assert!(lines[1].contains("Check BMC credentials") && lines[2].contains("For bootstrap failures"));
    }

    #[test]
    fn sc_038_status_alone() {
        let text = with_advice("fine", DeployStatus::ConfigFailed);
        assert!(text.starts_with("fine\nFor configuration failures"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn sc_039_unknown_codes_bring_nothing() {
        assert_eq!(with_advice("err_code=nosuch", DeployStatus::Complete), "err_code=nosuch");
        assert_eq!(with_advice("", DeployStatus::Complete), "");
    }

    #[test]
    fn the_first_code_with_a_token_counts() {
        assert_eq!(error_code("err_code bmc ERR_Code\t=\n ping_bmc err_code=x"), Some("ping_bmc"));
        assert_eq!(error_code("err_code=a=b c"), Some("a=b"));
        for none in ["", "err_code", "err_code=", "err_code = \n", "errcode=x", "é"] {
            assert_eq!(error_code(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_as_it_is(text in ".{0,60}") {
            prop_assert!(with_advice(&text, DeployStatus::BootstrapFailed).starts_with(&text));
        }
    }
}
