"""nnlqp-nas: how long does this network take on that platform?"""
