"""All Streamlit code that is not a page: state, forms, figures, tables, masking, the job panel."""
