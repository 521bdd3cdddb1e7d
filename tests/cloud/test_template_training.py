"""The training queue in the template, which is there on request only."""

from __future__ import annotations

import fnmatch

from shared import keys
from shared.jobs.training.job import upload_id
from tests.cloud.template import TEMPLATE, deployed, listed, region

__all__ = ["region"]  # a fixture


def test_without_a_queue_nothing_of_it_is_made_and_the_function_is_told() -> None:
    made = deployed()
    conditional = {name for name, resource in made.items() if resource.get("Condition") == "Trains"}
    of_batch = {name for name, resource in made.items() if resource["Type"].startswith(("AWS::Batch", "AWS::EC2"))}
    assert of_batch
    assert of_batch <= conditional
    assert TEMPLATE["Parameters"]["TrainingQueue"]["Default"] == ""
    assert TEMPLATE["Conditions"]["Trains"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "TrainingQueue"}, ""]}]}
    told = made["TrainingFunction"]["Properties"]["Environment"]["Variables"]
    assert told["TRAINING_QUEUE"] == {"Fn::If": ["Trains", {"Ref": "TrainingJobQueue"}, ""]}
    assert told["TRAINING_DEFINITION"] == {"Fn::If": ["Trains", {"Ref": "TrainingDefinition"}, ""]}


def test_nothing_is_paid_while_nobody_trains() -> None:
    machines = TEMPLATE["Resources"]["TrainingMachines"]["Properties"]["ComputeResources"]
    assert (machines["Type"], machines["MinvCpus"]) == ("SPOT", 0)


def test_training_machines_reach_data_sets_by_name_and_nobody_reaches_them() -> None:
    """Debian's mirrors, from which most named sets come, and torchvision's of Fashion-MNIST are http:// only."""
    group = TEMPLATE["Resources"]["TrainingSecurityGroup"]["Properties"]
    ports = {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in group["SecurityGroupEgress"]}
    assert ports == {("tcp", 443, 443), ("tcp", 80, 80)}
    assert "SecurityGroupIngress" not in group


def test_a_job_is_tried_again_only_where_that_may_help() -> None:
    definition = TEMPLATE["Resources"]["TrainingDefinition"]["Properties"]
    rules = definition["RetryStrategy"]["EvaluateOnExit"]

    def decided(status: str, code: str) -> str:
        """As AWS Batch does: the first rule that matches."""
        told = {"OnStatusReason": status, "OnExitCode": code, "OnReason": ""}
        for rule in rules:
            wanted = {name: value for name, value in rule.items() if name != "Action"}
            if all(fnmatch.fnmatchcase(told[name], value) for name, value in wanted.items()):
                return str(rule["Action"])
        return "RETRY"

    assert len(rules) <= 5, "AWS Batch takes no more"
    assert decided("Host EC2 (instance i-0a1) terminated.", "") == "RETRY"
    assert decided("Essential container in task exited", "75") == "RETRY"
    assert [decided("Essential container in task exited", code) for code in ("1", "137", "2")] == ["EXIT"] * 3
    assert decided("Task failed to start", "") == "EXIT"


def test_the_container_is_started_as_the_queue_asks() -> None:
    container = TEMPLATE["Resources"]["TrainingDefinition"]["Properties"]["ContainerProperties"]
    assert container["Command"] == ["python", "-m", "training.job.run", "Ref::job"]
    named = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
    assert named == {"BUCKET": {"Ref": "Data"}, "TORCHRUN": {"Ref": "TrainingTorchrun"}}
    assert {"Type": "GPU", "Value": {"Ref": "TrainingGpus"}} in container["ResourceRequirements"]


def test_the_container_can_neither_read_models_nor_write_records() -> None:
    [policy] = TEMPLATE["Resources"]["TrainingJobRole"]["Properties"]["Policies"]
    allowed = policy["PolicyDocument"]["Statement"]
    for statement in allowed:
        assert all("*" not in action for action in listed(statement["Action"]))
        for resource in [] if "s3:ListBucket" in listed(statement["Action"]) else listed(statement["Resource"]):
            place = resource["Fn::Sub"].removeprefix("${Data.Arn}/")
            assert place.startswith(
                ("datasets/", "training/", "uploads/training-", "unfinished/*/training-", "models/*/uploads/training-")
            ), place
            assert "s3:DeleteObject" not in listed(statement["Action"]) or place == "training/*/checkpoint/*"


def test_the_container_may_write_all_that_it_sends() -> None:
    [policy] = TEMPLATE["Resources"]["TrainingJobRole"]["Properties"]["Policies"]
    put = [s for s in policy["PolicyDocument"]["Statement"] if s["Action"] == "s3:PutObject"]
    places = [resource["Fn::Sub"].removeprefix("${Data.Arn}/") for resource in put[0]["Resource"]]
    job = "019bae2fd40-0123456789abcdef"
    sent = [
        keys.training_record(job, "container"), keys.training_metrics(job), keys.training_checkpoint(job, "1-2"),
        keys.training_report(job, "cleaning.json"), keys.upload_session(upload_id(job)),
        keys.upload_file(upload_id(job), "model.onnx"), keys.upload_state("shoes", upload_id(job)),
    ]  # fmt: skip
    for key in sent:
        assert any(fnmatch.fnmatchcase(key, place) for place in places), key
    others = [keys.upload_session(job), keys.upload_file(job, "model.onnx"), keys.upload_state("shoes", job)]
    for key in others:
        assert not any(fnmatch.fnmatchcase(key, place) for place in places), key
    for what in ("job", "batch", "cancel"):
        assert not any(fnmatch.fnmatchcase(keys.training_record(job, what), place) for place in places)


def test_only_this_queues_events_are_noted() -> None:
    rule = deployed()["TrainingstateFunctionChanged"]
    assert rule["Condition"] == "Trains"
    pattern = rule["Properties"]["EventPattern"]
    assert pattern["detail"] == {"jobQueue": [{"Ref": "TrainingJobQueue"}]}
    assert (pattern["source"], pattern["detail-type"]) == (["aws.batch"], ["Batch Job State Change"])


def test_the_queues_calls_end_at_this_deployments_jobs() -> None:
    policies = TEMPLATE["Resources"]["TrainingFunction"]["Properties"]["Policies"]
    condition, allowed, _ = policies[1]["Fn::If"]
    rights = {str(statement["Action"]): statement for statement in allowed["Statement"]}
    reads = "['batch:DescribeJobs', 'batch:ListJobs']"
    assert condition == "Trains"
    assert set(rights) == {"batch:SubmitJob", "batch:TagResource", "batch:TerminateJob", reads}
    assert rights["batch:SubmitJob"]["Resource"] == [{"Ref": "TrainingJobQueue"}, {"Ref": "TrainingDefinition"}]
    assert rights["batch:TerminateJob"]["Condition"] == {"StringEquals": {"aws:ResourceTag/amaas": {"Ref": "Data"}}}
    assert [action for action, right in rights.items() if right["Resource"] == "*"] == [reads]
