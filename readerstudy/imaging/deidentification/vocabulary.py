"""Closed vocabularies: what an attribute that people can type into may say.

Letters alone do not make a defined term: a name in capitals would pass. A value that is not named
here is left out and counted.
"""

from __future__ import annotations


def _terms(text: str) -> frozenset[str]:
    return frozenset(text.split())


# PS3.16 Annex L (defined terms of body parts), as far as MR examines them, with what scanners write
# for regions of the spine.
BODY_PARTS = _terms(
    """
    ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BUTTOCK
    CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS CLAVICLE COCCYX
    COLON CORONARYARTERY CSPINE CTSPINE EAR ELBOW ESOPHAGUS EXTREMITY EYE FEMUR FINGER FOOT
    FOREARM GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM JAW KIDNEY KNEE
    LARYNX LEG LIVER LLEG LSPINE LSSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NOSE
    ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PITUITARY PROSTATE RECTUM RIB
    SCALP SCAPULA SCROTUM SHOULDER SIJOINT SINUS SKULL SPINE SPLEEN SSPINE STERNUM STOMACH
    TESTIS THIGH THUMB THYMUS THYROID TIBIA TLSPINE TMJ TOE TRUNK TSPINE ULEG URETER URETHRA
    UTERUS VAGINA WHOLEBODY WRIST ZYGOMA
    """
)

# PS3.3 C.8.3.1.1.1 and C.8.13.3.1.1, and what makers append to say how an image was computed.
IMAGE_TYPES = _terms(
    """
    ORIGINAL DERIVED PRIMARY SECONDARY MIXED OTHER NONE M P R I IP OP M_SE M_FFE M_IR P_SE P_FFE
    SE FFE IR T1 T2 T2_STAR PD DIFFUSION PERFUSION MAGNITUDE PHASE REAL IMAGINARY IN_PHASE
    OUT_PHASE OPP_PHASE WATER FAT W F VOLUME RESAMPLED ADDITION SUBTRACTION AVERAGE MIP MINIP
    MPR CSAPARALLEL CSA CPR PROJECTION NORM DIS2D DIS3D ND FM FS FIL GDC UCA IF WRAPPED MOSAIC
    SUM MEAN ADC FA TRACEW DTI EADC B0 TENSOR DENSITY_MAP DIFFUSION_ANISO VELOCITY_MAP
    """
) | {"CSA MPR", "PROJECTION IMAGE", "MAP"}

VOCABULARIES: dict[str, frozenset[str]] = {
    "BodyPartExamined": BODY_PARTS,
    "Laterality": frozenset({"R", "L"}),
    "ImageLaterality": frozenset({"R", "L", "U", "B"}),
    "BurnedInAnnotation": frozenset({"YES", "NO"}),
    "ScanningSequence": frozenset({"SE", "IR", "GR", "EP", "RM"}),
    "SequenceVariant": frozenset({"SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "NONE", "OTHER"}),
    "MRAcquisitionType": frozenset({"2D", "3D"}),
    "AngioFlag": frozenset({"Y", "N"}),
    "VariableFlipAngleFlag": frozenset({"Y", "N"}),
    "ImagedNucleus": frozenset(
        {"1H", "H", "H1", "3HE", "7LI", "13C", "19F", "23NA", "31P", "129XE"}
    ),
    "InPlanePhaseEncodingDirection": frozenset({"ROW", "COL", "COLUMN", "OTHER"}),
    "ParallelAcquisition": frozenset({"YES", "NO"}),
    "ParallelAcquisitionTechnique": frozenset(
        {"PILS", "SENSE", "SMASH", "CSENSE", "GRAPPA", "CAIPIRINHA", "ARC", "ASSET", "OTHER"}
    ),
    "PartialFourier": frozenset({"YES", "NO"}),
    "PatientPosition": frozenset(
        {"HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS", "LFP", "LFS", "RFP", "RFS"}
        | {"AFDR", "AFDL", "PFDR", "PFDL"}
    ),
    "LossyImageCompression": frozenset({"00", "01"}),
    "ScanOptions": _terms(
        """
    PER RG CG PPG FC PFF PFP SP FS NONE OTHER CT DB FATSAT WE SAT SAT1 SAT2 SAT3 SAT4 SAT5 SAT6
    SAT_GEMS FAST_GEMS ACC_GEMS NPW TRF_GEMS FILTERED_GEMS EDR_GEMS FC_FREQ_AX_GEMS
    FC_SLICE_AX_GEMS VB_GEMS MP_GEMS SEQ_GEMS CL_GEMS FR_GEMS PHASE_GEMS SS_GEMS IR MTC S2_0
    """
    ),
}

# Positions of these values matter: one that is not known gives its place to OTHER.
IMAGE_TYPE = "ImageType"
