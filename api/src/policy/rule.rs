//! The rules' names and defaults (access.md §5), one type each, so that a handler names its rule in its signature.

/// Default of rules that change something (access.md §5, "A").
pub const ADMIN: &str = "rule:admin_in_system_projects";
/// Default of rules that only read (access.md §5, "R").
pub const READER: &str = "rule:reader_in_system_projects";

/// Name and default of the rules that those defaults refer to.
pub const BASE: &[(&str, &str)] = &[
    ("admin_in_system_projects", "role:admin and (project_name:admin or project_name:services)"),
    ("reader_in_system_projects", "role:reader and (project_name:admin or project_name:services)"),
];

/// A rule of the policy.
pub trait Rule: Send + Sync + 'static {
    /// Its name, with the prefix `dc_api:`.
    const NAME: &'static str;
    /// Its check string where no policy file says otherwise.
    const DEFAULT: &'static str;
}

macro_rules! rules {
    ($($(#[$doc:meta])* $type:ident = $name:literal $default:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $type;

            impl Rule for $type {
                const NAME: &'static str = concat!("dc_api:", $name);
                const DEFAULT: &'static str = $default;
            }
        )*

        /// Name and default of every rule.
        pub const ALL: &[(&str, &str)] = &[$(($type::NAME, $type::DEFAULT)),*];
    };
}

rules! {
    /// access.md §5.
    SubcloudsCreate = "subclouds:create" ADMIN,
    /// access.md §5.
    SubcloudsDelete = "subclouds:delete" ADMIN,
    /// access.md §5.
    SubcloudsGet = "subclouds:get" READER,
    /// access.md §5.
    SubcloudsModify = "subclouds:modify" ADMIN,
    /// access.md §5.
    SubcloudDeployUpload = "subcloud_deploy:upload" ADMIN,
    /// access.md §5.
    SubcloudDeployGet = "subcloud_deploy:get" READER,
    /// access.md §5.
    AlarmManagerGet = "alarm_manager:get" READER,
    /// access.md §5.
    SwUpdateStrategyAbort = "sw_update_strategy:abort" ADMIN,
    /// access.md §5.
    SwUpdateStrategyApply = "sw_update_strategy:apply" ADMIN,
    /// access.md §5.
    SwUpdateStrategyCreate = "sw_update_strategy:create" ADMIN,
    /// access.md §5.
    SwUpdateStrategyDelete = "sw_update_strategy:delete" ADMIN,
    /// access.md §5.
    SwUpdateStrategyGet = "sw_update_strategy:get" READER,
    /// access.md §5.
    SwUpdateOptionsDelete = "sw_update_options:delete" ADMIN,
    /// access.md §5.
    SwUpdateOptionsGet = "sw_update_options:get" READER,
    /// access.md §5.
    SwUpdateOptionsUpdate = "sw_update_options:update" ADMIN,
    /// access.md §5.
    SubcloudGroupsCreate = "subcloud_groups:create" ADMIN,
    /// access.md §5.
    SubcloudGroupsDelete = "subcloud_groups:delete" ADMIN,
    /// access.md §5.
    SubcloudGroupsGet = "subcloud_groups:get" READER,
    /// access.md §5.
    SubcloudGroupsModify = "subcloud_groups:modify" ADMIN,
    /// access.md §5.
    SubcloudBackupCreate = "subcloud_backup:create" ADMIN,
    /// access.md §5.
    SubcloudBackupDelete = "subcloud_backup:delete" ADMIN,
    /// access.md §5.
    SubcloudBackupRestore = "subcloud_backup:restore" ADMIN,
    /// access.md §5.
    PhasedSubcloudDeployCreate = "phased_subcloud_deploy:create" ADMIN,
    /// access.md §5.
    PhasedSubcloudDeployModify = "phased_subcloud_deploy:modify" ADMIN,
    /// access.md §5.
    SubcloudPeerGroupsCreate = "subcloud_peer_groups:create" ADMIN,
    /// access.md §5.
    SubcloudPeerGroupsDelete = "subcloud_peer_groups:delete" ADMIN,
    /// access.md §5.
    SubcloudPeerGroupsGet = "subcloud_peer_groups:get" ADMIN,
    /// access.md §5.
    SubcloudPeerGroupsModify = "subcloud_peer_groups:modify" ADMIN,
    /// access.md §5.
    PeerGroupAssociationsCreate = "peer_group_associations:create" ADMIN,
    /// access.md §5.
    PeerGroupAssociationsDelete = "peer_group_associations:delete" ADMIN,
    /// access.md §5.
    PeerGroupAssociationsGet = "peer_group_associations:get" READER,
    /// access.md §5.
    PeerGroupAssociationsModify = "peer_group_associations:modify" ADMIN,
    /// access.md §5.
    SystemPeersCreate = "system_peers:create" ADMIN,
    /// access.md §5.
    SystemPeersDelete = "system_peers:delete" ADMIN,
    /// access.md §5.
    SystemPeersGet = "system_peers:get" READER,
    /// access.md §5.
    SystemPeersModify = "system_peers:modify" ADMIN,
    /// Histories and states of the past (an extension).
    HistoryGet = "history:get" READER,
    /// The stream of events (an extension). It shows every aggregate, peer groups too, which only administrators may read.
    EventsGet = "events:get" ADMIN,
    /// How far the read models are (an extension).
    ProjectionsGet = "projections:get" READER,
    /// Rebuilding read models (an extension).
    ProjectionsModify = "projections:modify" ADMIN,
}
