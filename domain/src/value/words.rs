//! The contract's closed vocabularies: each word is written, read and compared exactly as the contract spells it.

/// Declares an enum whose variants are fixed words, with conversions to and from them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name { $(
            #[doc = concat!("`", $word, "`")]
            $(#[$vdoc])*
            #[serde(rename = $word)] $variant
        ),+ }

        impl $name {
            /// Every word of this vocabulary, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as the contract spells it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word; `None` for anything else.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words!(
    /// Deploy axis of a subcloud (subclouds.md §2.1).
    DeployStatus {
        NotDeployed = "not-deployed",
        PreDeploy = "pre-deploy",
        DeployPrepFailed = "deploy-prep-failed",
        Creating = "creating",
        CreateFailed = "create-failed",
        CreateComplete = "create-complete",
        PreInstall = "pre-install",
        PreInstallFailed = "pre-install-failed",
        Installing = "installing",
        InstallFailed = "install-failed",
        InstallComplete = "install-complete",
        PreBootstrap = "pre-bootstrap",
        PreBootstrapFailed = "pre-bootstrap-failed",
        Bootstrapping = "bootstrapping",
        BootstrapFailed = "bootstrap-failed",
        BootstrapAborted = "bootstrap-aborted",
        BootstrapComplete = "bootstrap-complete",
        PreConfig = "pre-config",
        PreConfigFailed = "pre-config-failed",
        Configuring = "configuring",
        ConfigFailed = "config-failed",
        Deploying = "deploying",
        DeployFailed = "deploy-failed",
        AbortingInstall = "aborting-install",
        InstallAborted = "install-aborted",
        AbortingBootstrap = "aborting-bootstrap",
        AbortingConfig = "aborting-config",
        ConfigAborted = "config-aborted",
        MigratingData = "migrating-data",
        DataMigrationFailed = "data-migration-failed",
        Migrated = "migrated",
        UpgradeActivated = "upgrade-activated",
        PreRestore = "pre-restore",
        RestorePrepFailed = "restore-prep-failed",
        Restoring = "restoring",
        RestoreFailed = "restore-failed",
        PreRehome = "pre-rehome",
        Rehoming = "rehoming",
        RehomeFailed = "rehome-failed",
        RehomePrepFailed = "rehome-prep-failed",
        RehomePending = "rehome-pending",
        Secondary = "secondary",
        SecondaryFailed = "secondary-failed",
        Complete = "complete",
        ReconfiguringNetwork = "reconfiguring-network",
        NetworkReconfigurationFailed = "network-reconfiguration-failed",
        PrestagingPackages = "prestaging-packages",
        PrestagingImages = "prestaging-images",
        PrestageFailed = "prestage-failed",
        PrestageComplete = "prestage-complete",
    }
);

impl DeployStatus {
    /// One of the four prestage states (subclouds.md §2.1).
    pub const fn is_prestage(self) -> bool {
        matches!(
            self,
            Self::PrestagingPackages | Self::PrestagingImages | Self::PrestageFailed | Self::PrestageComplete
        )
    }

    /// `secondary` or `secondary-failed` (subclouds.md §2.1).
    pub const fn is_secondary(self) -> bool {
        matches!(self, Self::Secondary | Self::SecondaryFailed)
    }
}

words!(
    /// Backup axis of a subcloud (subclouds.md §2.2); a subcloud never backed up has none.
    BackupStatus {
        Initial = "initial",
        Validating = "validating",
        ValidateFailed = "validate-failed",
        PreBackup = "pre-backup",
        BackupPrepFailed = "backup-prep-failed",
        BackingUp = "backing-up",
        Failed = "failed",
        Unknown = "unknown",
        CompleteLocal = "complete-local",
        CompleteCentral = "complete-central",
    }
);

impl BackupStatus {
    /// Whether a backup is under way (subclouds.md §2.2).
    pub const fn in_progress(self) -> bool {
        matches!(self, Self::Initial | Self::Validating | Self::PreBackup | Self::BackingUp)
    }
}

words!(
    /// Management axis of a subcloud (subclouds.md §2.2).
    ManagementState { Managed = "managed", Unmanaged = "unmanaged" }
);

words!(
    /// Availability axis of a subcloud (subclouds.md §2.2).
    Availability { Online = "online", Offline = "offline" }
);

words!(
    /// What is known of one endpoint of a subcloud (subclouds.md §2.2).
    SyncStatus { Unknown = "unknown", InSync = "in-sync", OutOfSync = "out-of-sync" }
);

words!(
    /// Endpoint types whose sync status is kept (subclouds.md §2.2).
    Endpoint {
        DcCert = "dc-cert",
        Firmware = "firmware",
        Identity = "identity",
        IdentityOpenstack = "identity_openstack",
        KubeRootca = "kube-rootca",
        Kubernetes = "kubernetes",
        Load = "load",
        Patching = "patching",
        Platform = "platform",
        Usm = "usm",
    }
);

impl Endpoint {
    /// The eight endpoints every subcloud starts with (subclouds.md §2.2).
    pub const DEFAULT: [Self; 8] = [
        Self::DcCert,
        Self::Firmware,
        Self::Identity,
        Self::KubeRootca,
        Self::Kubernetes,
        Self::Load,
        Self::Patching,
        Self::Platform,
    ];
}

words!(
    /// Phases of a deployment run, in the order they are run (jobs.md §1.3).
    Phase {
        Create = "create",
        Secondary = "secondary",
        Install = "install",
        Bootstrap = "bootstrap",
        Configure = "configure",
        Complete = "complete",
        Rehome = "rehome",
        Prestage = "prestage",
        Restore = "restore",
        ReconfigureNetwork = "reconfigure-network",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_serialised_as_written() {
        for status in DeployStatus::ALL {
            assert_eq!(DeployStatus::parse(status.as_str()), Some(*status));
            assert_eq!(serde_json::json!(status), serde_json::json!(status.as_str()));
        }
        assert_eq!(DeployStatus::ALL.len(), 50);
        assert_eq!(DeployStatus::parse("Complete"), None);
    }
}
