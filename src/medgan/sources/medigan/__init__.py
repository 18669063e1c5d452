"""medigan: pre-trained generators of medical images that others have published.

Osuala et al. 2023, medigan: a Python library of pretrained generative models for medical image
synthesis, J. Med. Imaging 10(6). `models.json` is `config/global.json` of
https://github.com/RichardObi/medigan, commit e26d7d8 of 2024-07-09, without empty values and the
fields that are not shown; LICENSE (MIT) is of that repository.
"""
