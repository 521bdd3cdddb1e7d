"""The entry kit of functions: HTTP, what they work with, work after the answer. Only functions import it.

Its import is the first that a function makes, and sets up the log, so that nothing is logged before.
"""

import os

from shared import logs

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    logs.configure()
