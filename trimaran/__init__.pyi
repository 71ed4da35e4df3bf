"""The names of `import trimaran`, for type checkers and editors."""

from ensembles.deploy_run import deploy_run as deploy_run
from ensembles.pipeline import Ensemble as Ensemble
from ensembles.pipeline import Pipeline as Pipeline
from ensembles.pipeline import PythonModel as PythonModel
from ensembles.pipeline import Step as Step
from ensembles.pipeline import tensor as tensor
from ensembles.publish import publish as publish
from ensembles.python_step import python_step as python_step
from exporters.api import add as add
from exporters.api import export as export
from exporters.spec import ModelSpec as ModelSpec
from trimaran.checks.api import check as check
from trimaran.cli.run_api import run as run
from trimaran.publishing.api import release as release
from trimaran.publishing.api import status as status
from trimaran.repository.repository import Repository as Repository
from trimaran.rollout.api import deploy as deploy
from trimaran.rollout.api import rollback as rollback
from trimaran.rollout.runs.api import approve as approve
from trimaran.rollout.runs.api import checklist as checklist
from trimaran.rollout.runs.api import history as history
from trimaran.rollout.runs.api import ignore as ignore
from trimaran.rollout.runs.api import review as review
from trimaran.rollout.runs.api import runs as runs
from trimaran.rollout.runs.checklist import Answer as Answer
from trimaran.system.errors import TrimaranError as TrimaranError
