"""Sends what the `dcmanager` command line sends, and reads what it reads (subclouds.md §11, fleet.md §13, access.md §14).

    dcmanager_flows.py BASE_URL TOKEN DIRECTORY

BASE_URL ends in /v1.0. The fleet is subcloud1 to subcloud3; subcloud2 and subcloud3 need every update. Multipart bodies
are made by the encoder that command line uses: parts without a content type, and a body of only the closing boundary
where there is no part. Prints one line per flow and ends with an error at the first answer that the command line could
not have used.
"""

import base64
import html.parser
import json
import pathlib
import sys
import time

import requests
from requests_toolbelt import MultipartEncoder

BASE, TOKEN, DIRECTORY = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
SECRET = base64.b64encode(b"St8rlingX*").decode()
SUBCLOUD_KEYS = """id name description location software-version management-state availability-status deploy-status
management-subnet management-start-ip management-end-ip management-gateway-ip systemcontroller-gateway-ip created-at
updated-at group_id""".split()
GROUP_KEYS = "id name description update_apply_type max_parallel_subclouds created-at updated-at".split()
PEER_GROUP_KEYS = """id peer_group_name group_priority group_state max_subcloud_rehoming system_leader_id
system_leader_name migration_status created-at updated-at""".split()
PEER_KEYS = """id peer-uuid peer-name manager-endpoint manager-username peer-controller-gateway-address
administrative-state heartbeat-interval heartbeat-failure-threshold heartbeat-failure-policy
heartbeat-maintenance-timeout heartbeat-status created-at updated-at""".split()
ASSOCIATION_KEYS = "id peer-group-id system-peer-id peer-group-priority sync-status created-at updated-at".split()
STRATEGY_KEYS = """type subcloud-apply-type max-parallel-subclouds stop-on-failure state created-at updated-at
extra-args""".split()
STEP_KEYS = "cloud stage state details started-at finished-at created-at updated-at".split()
OPTION_KEYS = """name storage-apply-type worker-apply-type max-parallel-workers alarm-restriction-type
default-instance-action created-at updated-at""".split()

session = requests.Session()
# The command line makes its own headers; the library's `Accept: */*` and `User-Agent` stay.
session.headers.update({"x-auth-token": TOKEN, "X-Project-Id": "ignored", "X-User-Id": "ignored"})


class Body(html.parser.HTMLParser):
    """The text inside <body>."""

    def __init__(self):
        super().__init__()
        self.inside, self.text = False, ""

    def handle_starttag(self, tag, attributes):
        self.inside = self.inside or tag == "body"

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "body"

    def handle_data(self, data):
        self.text += data if self.inside else ""


def printed(answer):
    """What the command line prints of an error."""
    page = Body()
    page.feed(answer.text)
    assert page.text, f"no <body>, raw bytes would be printed: {answer.text!r}"
    lines = page.text.strip().split("\n")
    assert lines[0].strip().startswith(str(answer.status_code)), lines
    return " ".join(line.strip() for line in lines[1:]).strip()


def send(method, path, body=None, fields=None, expected=200):
    headers, data = {}, None
    if fields is not None:
        data = MultipartEncoder(fields=fields)
        headers["content-type"] = data.content_type
    elif body is not None:
        data = json.dumps(body)
        headers["content-type"] = "application/json"
    answer = session.request(method, BASE + path, data=data, headers=headers, timeout=90)
    assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text}"
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
    return answer if expected != 200 else answer.json()


def keys(found, wanted):
    missing = [key for key in wanted if key not in found]
    assert not missing, f"{missing} missing in {found}"
    return found


def wait_for(what, done):
    for _ in range(300):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError(f"not in time: {what}")


def file(name, text):
    path = DIRECTORY / name
    path.write_text(text)
    return (str(path), open(path, "rb"))


def flow(function):
    function()
    print(function.__name__)


def bootstrap_values(name, network):
    return f"""---
system_mode: simplex
name: {name}
description: An edge site
location: On a hill
management_subnet: 192.168.{network}.0/24
management_start_address: 192.168.{network}.2
management_end_address: 192.168.{network}.50
management_gateway_address: 192.168.{network}.1
external_oam_subnet: 10.10.{network}.0/24
external_oam_gateway_address: 10.10.{network}.1
external_oam_floating_address: 10.10.{network}.12
systemcontroller_gateway_address: 192.168.204.101
"""


@flow
def subcloud_list():
    for entry in send("GET", "/subclouds/")["subclouds"]:
        keys(entry, SUBCLOUD_KEYS + ["sync_status", "backup-status", "backup-datetime"])


@flow
def subcloud_show_and_errors():
    shown = keys(send("GET", "/subclouds/subcloud1"), SUBCLOUD_KEYS)
    assert {entry["endpoint_type"] for entry in shown["endpoint_sync_status"]} >= {"dc-cert", "platform"}
    assert isinstance(shown["error-description"], str)
    keys(send("GET", "/subclouds/subcloud1/detail"), ["oam_floating_ip", "deploy_config_sync_status", "region_name"])


@flow
def subcloud_unmanage_migrate_and_manage():
    released = {"management-state": "unmanaged", "migrate": "true"}
    assert send("PATCH", "/subclouds/subcloud1", fields=released)["deploy-status"] == "rehome-pending"
    taken = {"management-state": "managed", "force": "true"}
    assert send("PATCH", "/subclouds/subcloud1", fields=taken)["deploy-status"] == "complete"
    refused = printed(send("PATCH", "/subclouds/subcloud1", fields=taken, expected=422))
    assert "already managed" in refused and "\n" not in refused, refused


@flow
def subcloud_update():
    changed = send("PATCH", "/subclouds/2", fields={"description": "moved", "location": "here", "group_id": "Default"})
    keys(changed, SUBCLOUD_KEYS)
    assert changed["description"] == "moved"


def strategy_state(kind):
    """Where the strategy stands; None if there is none."""
    answer = session.get(f"{BASE}/sw-update-strategy?type={kind}", timeout=90)
    assert answer.status_code in (200, 404), answer.text
    return answer.json()["state"] if answer.status_code == 200 else None


def delete_strategy(kind):
    assert send("DELETE", f"/sw-update-strategy?type={kind}")["state"] == "deleting"
    wait_for(f"the {kind} strategy is gone", lambda: strategy_state(kind) is None)


@flow
def strategies_of_every_type():
    group = {"name": "peak", "description": "No description provided", "update_apply_type": "serial",
             "max_parallel_subclouds": 3}
    send("POST", "/subcloud-groups/", body=group)
    send("PATCH", "/subclouds/subcloud2", fields={"group_id": "peak"})
    certificate = DIRECTORY / "ca.pem"
    certificate.write_text("certificate")
    for asked, arguments in (
        ({"type": "patch", "cloud_name": "subcloud3", "upload-only": "true"}, {"upload-only": True}),
        ({"type": "patch", "cloud_name": "subcloud3", "force": "true", "upload-only": "false"}, {"upload-only": False}),
        ({"type": "firmware", "subcloud_group": "peak", "stop-on-failure": "true"}, None),
        ({"type": "upgrade", "cloud_name": "subcloud3", "subcloud-apply-type": "serial"}, None),
        ({"type": "kubernetes", "cloud_name": "subcloud3", "max-parallel-subclouds": 5, "to-version": "v1.24.4"},
         {"to-version": "v1.24.4"}),
        ({"type": "kube-rootca-update", "cloud_name": "subcloud3", "force": "true", "expiry-date": "2099-12-31",
          "subject": "C=US O=Company CN=kubernetes"},
         {"expiry-date": "2099-12-31", "subject": "C=US O=Company CN=kubernetes", "cert-file": None}),
        ({"type": "kube-rootca-update", "cloud_name": "subcloud3", "cert-file": str(certificate)},
         {"expiry-date": None, "subject": None}),
    ):
        kind = asked["type"]
        made = keys(send("POST", "/sw-update-strategy/", body=asked), STRATEGY_KEYS)
        assert (made["type"], made["state"]) == (kind, "initial"), made
        assert made["stop-on-failure"] == ("stop-on-failure" in asked), made
        shown = keys(send("GET", f"/sw-update-strategy?type={kind}"), STRATEGY_KEYS)
        assert shown["extra-args"] == made["extra-args"], shown
        if arguments is None:
            assert made["extra-args"] is None, made
        else:
            assert {key: made["extra-args"][key] for key in arguments} == arguments, made
            assert pathlib.Path(made["extra-args"].get("cert-file") or "/ca.pem").name == "ca.pem", made
        cloud = "subcloud2" if "subcloud_group" in asked else "subcloud3"
        assert [step["cloud"] for step in send("GET", "/sw-update-strategy/steps")["strategy-steps"]] == [cloud]
        said = printed(send("POST", "/sw-update-strategy/", body=asked, expected=422))
        assert "already exists" in said, said
        said = printed(send("DELETE", "/sw-update-strategy?type=prestage", expected=422))
        assert "prestage" in said, said
        delete_strategy(kind)
    said = printed(send("POST", "/sw-update-strategy/", body={"type": "firmware", "force": "true"}, expected=400))
    assert "cloud_name" in said, said
    send("PATCH", "/subclouds/subcloud2", fields={"group_id": "Default"})
    assert send("DELETE", "/subcloud-groups/peak") is None


@flow
def subcloud_add():
    fields = {
        "bootstrap_values": file("bootstrap.yml", bootstrap_values("edge1", 201)),
        "bootstrap-address": "10.10.201.12",
        "sysadmin_password": SECRET,
        "group_id": "1",
    }
    added = keys(send("POST", "/subclouds/", fields=fields), SUBCLOUD_KEYS)
    assert (added["name"], added["deploy-status"]) == ("edge1", "not-deployed")


@flow
def subcloud_deploy():
    fields = {
        "bootstrap_values": file("phased.yml", bootstrap_values("edge2", 202)),
        "bootstrap-address": "10.10.202.12",
    }
    added = keys(send("POST", "/phased-subcloud-deploy/", fields=fields), SUBCLOUD_KEYS)
    assert added["deploy-status"] in ("create-complete", "create-failed")
    for verb in ("complete", "abort"):
        # A body without a part.
        said = printed(send("PATCH", f"/phased-subcloud-deploy/edge2/{verb}", fields={}, expected=400))
        assert "deploy" in said, said


@flow
def subcloud_verbs():
    prestage = {"sysadmin_password": SECRET, "force": "true"}
    started = send("PATCH", "/subclouds/subcloud3/prestage", body=prestage)
    assert started["deploy-status"] == "prestaging-packages" and started["prestage-software-version"]
    said = printed(send("PATCH", "/subclouds/subcloud2/migrate", body={"sysadmin_password": SECRET}, expected=400))
    assert "Unable to migrate subcloud" in said, said
    send("PATCH", "/subclouds/subcloud2/redeploy", fields={"sysadmin_password": SECRET}, expected=400)
    send("DELETE", "/subclouds/subcloud2", expected=422)


@flow
def subcloud_backup():
    fields = {"subcloud": "subcloud2", "local_only": "false", "registry_images": "false", "sysadmin_password": SECRET}
    assert [entry["name"] for entry in send("POST", "/subcloud-backup/", fields=fields)["subclouds"]] == ["subcloud2"]
    delete = {"release": "22.12", "subcloud": "subcloud2", "local_only": "false"}
    send("PATCH", "/subcloud-backup/delete/22.12", fields=delete, expected=503)
    restore = {
        "with_install": "false", "local_only": "false", "registry_images": "false", "sysadmin_password": SECRET,
        "subcloud": "subcloud2",
    }
    said = printed(send("PATCH", "/subcloud-backup/restore", fields=restore, expected=400))
    assert "must be unmanaged" in said, said


@flow
def subcloud_deploy_files():
    fields = {option: file(option, option) for option in ("deploy_playbook", "deploy_overrides", "deploy_chart")}
    uploaded = send("POST", "/subcloud-deploy/", fields=fields)
    assert uploaded["deploy_playbook"] == str(DIRECTORY / "deploy_playbook"), uploaded
    shown = send("GET", "/subcloud-deploy/")["subcloud_deploy"]
    assert shown["deploy_playbook"] == "deploy_playbook" and shown["prestage_images"] is None
    assert send("GET", f"/subcloud-deploy/{shown['software_version']}")["subcloud_deploy"] == shown


@flow
def subcloud_groups():
    group = {"name": "hill", "description": "No description provided", "update_apply_type": "parallel",
             "max_parallel_subclouds": 2}
    keys(send("POST", "/subcloud-groups/", body=group), GROUP_KEYS)
    assert len(send("GET", "/subcloud-groups/")["subcloud_groups"]) >= 2
    keys(send("GET", "/subcloud-groups/hill"), GROUP_KEYS)
    assert send("GET", "/subcloud-groups/hill/subclouds")["subclouds"] == []
    assert send("PATCH", "/subcloud-groups/hill", body={"description": "High up"})["description"] == "High up"
    assert send("DELETE", "/subcloud-groups/hill") is None


@flow
def peers():
    group = keys(send("POST", "/subcloud-peer-groups/", body={
        "peer-group-name": "hills", "group-state": "enabled", "max-subcloud-rehoming": 10,
    }), PEER_GROUP_KEYS)
    assert send("GET", "/subcloud-peer-groups/hills/subclouds") == {"subclouds": []}
    assert send("GET", "/subcloud-peer-groups/hills/status")["total_subclouds"] == 0
    send("PATCH", "/subcloud-peer-groups/hills", body={"group-state": "disabled"})
    said = printed(send("PATCH", "/subcloud-peer-groups/hills/migrate", body={"sysadmin_password": SECRET}, expected=400))
    assert said, said
    peer = keys(send("POST", "/system-peers/", body={
        "peer_uuid": "ac62f555-9386-42f1-b3a1-51ecb7094091", "peer_name": "other",
        "manager_endpoint": "http://128.128.128.1:5000/v3", "manager_username": "admin", "manager_password": SECRET,
        "peer_controller_gateway_address": "192.168.204.1", "administrative_state": "enabled",
        "heartbeat_interval": 60, "heartbeat_failure_threshold": 3, "heartbeat_failure_policy": "alarm",
        "heartbeat_maintenance_timeout": 600,
    }), PEER_KEYS)
    assert "manager-password" not in peer
    pair = {"peer_group_id": str(group["id"]), "system_peer_id": str(peer["id"]), "peer_group_priority": 99}
    made = keys(send("POST", "/peer-group-associations/", body=pair), ASSOCIATION_KEYS)
    assert send("GET", f"/peer-group-associations/{made['id']}")["id"] == made["id"]
    assert len(send("GET", "/peer-group-associations/")["peer_group_associations"]) == 1
    assert len(send("GET", "/system-peers/other/subcloud-peer-groups")["subcloud_peer_groups"]) == 1
    said = printed(send("DELETE", "/subcloud-peer-groups/hills", expected=400))
    assert "a peer group which is associated with a system peer" in said, said


@flow
def peer_groups_and_system_peers():
    for listed in send("GET", "/subcloud-peer-groups/")["subcloud_peer_groups"]:
        keys(listed, PEER_GROUP_KEYS)
    group = keys(send("GET", "/subcloud-peer-groups/hills"), PEER_GROUP_KEYS)
    assert send("GET", f"/subcloud-peer-groups/{group['id']}") == group
    send("POST", "/subcloud-peer-groups/", body={
        "peer-group-name": "valleys", "group-state": "enabled", "max-subcloud-rehoming": 10,
    })
    assert send("DELETE", "/subcloud-peer-groups/valleys") is None
    assert "not found" in printed(send("GET", "/subcloud-peer-groups/valleys", expected=404))

    [peer] = send("GET", "/system-peers/")["system_peers"]
    keys(peer, PEER_KEYS)
    for reference in ("other", peer["peer-uuid"], peer["id"]):
        assert send("GET", f"/system-peers/{reference}") == peer
    changed = send("PATCH", "/system-peers/other", body={"heartbeat_interval": 30, "manager_password": SECRET})
    assert keys(changed, PEER_KEYS)["heartbeat-interval"] == 30 and changed["updated-at"], changed
    said = printed(send("DELETE", "/system-peers/other", expected=400))
    assert "associated with peer group" in said, said
    send("POST", "/system-peers/", body={
        "peer_uuid": "ac62f555-9386-42f1-b3a1-51ecb7094092", "peer_name": "third",
        "manager_endpoint": "http://128.128.128.2:5000/v3", "manager_username": "admin", "manager_password": SECRET,
        "peer_controller_gateway_address": "192.168.204.2", "administrative_state": "enabled",
        "heartbeat_interval": 60, "heartbeat_failure_threshold": 3, "heartbeat_failure_policy": "alarm",
        "heartbeat_maintenance_timeout": 600,
    })
    assert send("DELETE", "/system-peers/third") is None
    assert "not found" in printed(send("GET", "/system-peers/third", expected=404))


@flow
def peer_group_associations():
    [made] = send("GET", "/peer-group-associations/")["peer_group_associations"]
    path = f"/peer-group-associations/{made['id']}"
    # What the peer has to be told needs a worker that there is not yet.
    said = printed(send("PATCH", path, body={"peer_group_priority": 100}, expected=503))
    assert "no worker for peer-sync" in said, said
    synchronised = keys(send("PATCH", f"{path}/sync"), ASSOCIATION_KEYS + ["sync-message"])
    assert synchronised["sync-status"] == "syncing", synchronised
    said = printed(send("DELETE", path, expected=503))
    assert "no worker for peer-group-removal" in said, said
    # A group that another system owns, as that system sends it here.
    copy = send("POST", "/subcloud-peer-groups/", body={
        "peer-group-name": "theirs", "group-priority": 5, "group-state": "enabled", "max-subcloud-rehoming": 10,
        "system-leader-id": "ac62f555-9386-42f1-b3a1-51ecb7094091", "system-leader-name": "other",
    })
    pair = {"peer_group_id": str(copy["id"]), "system_peer_id": str(made["system-peer-id"])}
    copied = keys(send("POST", "/peer-group-associations/", body=pair), ASSOCIATION_KEYS)
    assert copied["sync-status"] == "disabled", copied
    said = printed(send("PATCH", f"/peer-group-associations/{copied['id']}/sync", expected=400))
    assert "disabled" in said, said
    assert send("DELETE", f"/peer-group-associations/{copied['id']}") is None
    assert send("DELETE", "/subcloud-peer-groups/theirs") is None


@flow
def strategies():
    said = printed(send("GET", "/sw-update-strategy?type=patch", expected=404))
    assert said, said
    made = send("POST", "/sw-update-strategy/", body={
        "type": "prestage", "sysadmin_password": SECRET, "stop-on-failure": "true", "max-parallel-subclouds": 2,
    })
    keys(made, STRATEGY_KEYS)
    assert made["extra-args"]["prestage-software-version"] and SECRET not in json.dumps(made)
    steps = send("GET", "/sw-update-strategy/steps")["strategy-steps"]
    assert steps and all(keys(step, STEP_KEYS) for step in steps)
    keys(send("GET", f"/sw-update-strategy/steps/{steps[0]['cloud']}"), STEP_KEYS)
    assert send("POST", "/sw-update-strategy/actions?type=prestage", body={"action": "apply"})["state"] == "applying"
    assert send("POST", "/sw-update-strategy/actions?type=prestage", body={"action": "abort"})["state"] == "abort requested"
    wait_for("the strategy is aborted", lambda: strategy_state("prestage") == "aborted")
    delete_strategy("prestage")


@flow
def strategy_config():
    for reference in ("RegionOne", "subcloud1"):
        values = {
            "storage-apply-type": "parallel", "worker-apply-type": "serial", "max-parallel-workers": 5,
            "alarm-restriction-type": "strict", "default-instance-action": "migrate",
        }
        keys(send("POST", f"/sw-update-options/{reference}", body=values), OPTION_KEYS)
        assert send("GET", f"/sw-update-options/{reference}")["max-parallel-workers"] == 5
    assert len(send("GET", "/sw-update-options")["sw-update-options"]) == 2
    assert send("DELETE", "/sw-update-options/subcloud1") is None
    assert send("DELETE", "/sw-update-options/RegionOne") is None
    assert keys(send("GET", "/sw-update-options/RegionOne"), OPTION_KEYS)["max-parallel-workers"] == 10
    assert len(send("GET", "/sw-update-options")["sw-update-options"]) == 1


@flow
def alarm_summary():
    for row in send("GET", "/alarms/")["alarm_summary"]:
        keys(row, "region_name uuid critical_alarms major_alarms minor_alarms warnings cloud_status".split())


@flow
def errors_are_printed():
    assert printed(send("GET", "/subclouds/nosuch", expected=404)).endswith("Subcloud not found")
    unknown = session.get(BASE + "/subclouds/", headers={"x-auth-token": "nonsense"}, timeout=30)
    assert unknown.status_code == 401 and "nonsense" not in unknown.text, unknown.text
