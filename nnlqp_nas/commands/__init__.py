"""One file a command of the shell; a module that stands here is offered."""
