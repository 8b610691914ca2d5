"""What training needs whatever the model is: a config field is declared here, M members train as
one program, a member is saved and resumed, a curve is read as a phase.

Uses: errors. Used by: all models; the service for configs,
checkpoints and outcomes.
"""
