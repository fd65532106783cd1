"""Uses a client that was generated from the OpenAPI document: `client.py DIRECTORY_OF_THE_PACKAGE BASE_URL`."""

import importlib
import sys

sys.path.insert(0, sys.argv[1])
client_module = importlib.import_module("dc_manager_client")
api = "dc_manager_client.api"


def operation(tag, name):
    return importlib.import_module(f"{api}.{tag}.{name}")


def model(name):
    return getattr(importlib.import_module("dc_manager_client.models"), name)


client = client_module.Client(base_url=sys.argv[2], headers={"Accept": "application/json"})

listed = operation("subclouds", "list_subclouds").sync(client=client)
assert [entry.name for entry in listed.subclouds] == ["subcloud1", "subcloud2", "subcloud3"], listed
assert all(len(entry.endpoint_sync_status) == 8 for entry in listed.subclouds)

shown = operation("subclouds", "show_subcloud").sync(client=client, subcloud="subcloud2")
assert (shown.id, shown.management_state, shown.availability_status) == (2, "managed", "online"), shown

body = model("UpdateForm")(management_state="unmanaged", migrate="true")
changed = operation("subclouds", "update_subcloud").sync(client=client, subcloud="subcloud2", body=body)
assert (changed.management_state, changed.deploy_status) == ("unmanaged", "rehome-pending"), changed

missing = operation("subclouds", "show_subcloud").sync_detailed(client=client, subcloud="nosuch")
assert missing.status_code == 404 and missing.parsed.description == "Subcloud not found", missing

group = model("NewGroup")(
    name="edge", description="Edge sites", update_apply_type="parallel", max_parallel_subclouds=5
)
created = operation("groups", "create_subcloud_group").sync(client=client, body=group)
assert (created.id, created.name, created.max_parallel_subclouds) == (2, "edge", 5), created
patch = model("GroupPatch")(max_parallel_subclouds="7")
patched = operation("groups", "update_subcloud_group").sync(client=client, group="edge", body=patch)
assert patched.max_parallel_subclouds == 7, patched
removed = operation("groups", "delete_subcloud_group").sync_detailed(client=client, group="edge")
assert removed.status_code == 200 and removed.content == b"null", removed
again = operation("groups", "delete_subcloud_group").sync_detailed(client=client, group="edge")
assert again.status_code == 404 and again.parsed.code == 404, again

history = operation("history", "subcloud_history").sync(client=client, subcloud="subcloud2", limit=1000)
assert "SubcloudUnmanaged" in [event.type_ for event in history.events], history

print("ok")
