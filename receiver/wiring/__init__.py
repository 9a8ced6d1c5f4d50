"""The composition root: settings in, running parts out. Only here does a back-end have a name."""
