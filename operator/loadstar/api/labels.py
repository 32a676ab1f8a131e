"""Every name that Loadstar writes into a cluster: API group, labels, environment variables, field owners."""

from typing import Final

GROUP: Final = "loadstar.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "TrainingJob"
PLURAL: Final = "trainingjobs"

GPU_RESOURCE: Final = "nvidia.com/gpu"
GPU_PRODUCT_LABEL: Final = "nvidia.com/gpu.product"
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"

JOB_NAME_LABEL: Final = f"{GROUP}/job-name"
ATTEMPT_LABEL: Final = f"{GROUP}/attempt"
RANK_LABEL: Final = f"{GROUP}/rank"

NAME_LABEL: Final = "app.kubernetes.io/name"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

LIFECYCLE_OWNER: Final = "loadstar"
"""Field owner of everything in status except what is reported of the training."""
PROGRESS_OWNER: Final = "loadstar-progress"
"""Field owner of REPORTED_FIELDS."""
REPORTED_FIELDS: Final = ("trainerStatus", "curves")
"""The fields of status that come from reports of the training."""

SELECTED_NODE_ANNOTATION: Final = "volume.kubernetes.io/selected-node"
"""On a claim without a volume: the node for which one is being made."""

CONTAINER: Final = "trainer"
MASTER_PORT: Final = 23456
TERMINATION_MESSAGE_PATH: Final = "/dev/termination-log"

SPEC_ENV: Final = "LOADSTAR_SPEC"
"""The trainer's share of the spec (model, dataset, training) as JSON, defaults filled in."""
JOB_NAME_ENV: Final = "LOADSTAR_JOB_NAME"
JOB_UID_ENV: Final = "LOADSTAR_JOB_UID"
ATTEMPT_ENV: Final = "LOADSTAR_ATTEMPT"
GRACE_ENV: Final = "LOADSTAR_GRACE_SECONDS"
"""Seconds between SIGTERM and SIGKILL."""
CHECKPOINT_PATH_ENV: Final = "LOADSTAR_CHECKPOINT_PATH"
"""The folder of the job's checkpoints, if it has one: for one's own programs."""

PROGRESS_CA_ANNOTATION: Final = f"{GROUP}/progress-ca"
"""On pods: the certificate authority of the progress endpoint, in PEM."""
PROGRESS_AUDIENCE_GROUP: Final = "trainer.kubeflow.org/v1alpha1"
"""The API group whose protocol programs report by: that of Kubeflow Trainer."""
PROGRESS_MOUNT: Final = "/var/run/secrets/kubeflow/trainer"
PROGRESS_URL_ENV: Final = "KUBEFLOW_TRAINER_SERVER_URL"
PROGRESS_CA_ENV: Final = "KUBEFLOW_TRAINER_SERVER_CA_CERT"
PROGRESS_TOKEN_ENV: Final = "KUBEFLOW_TRAINER_SERVER_TOKEN"
