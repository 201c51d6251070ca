"""What a user of the deployment commands did wrong."""


class DeploymentError(ValueError):
    """Keys, ports, files or a peer that cannot be used; the message is one line for the user."""
