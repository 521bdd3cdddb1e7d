"""The one error of this job that is the user's to mend; its message says how."""


class TrainingError(Exception):
    pass
